#pragma once

#include "agent/model/Stage.h"
#include "agent/process/Launcher.h"
#include "agent/run/SecretFolder.h"
#include "agent/wire/Order.h"

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <future>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <variant>

namespace agent
{

/// Why an attempt can't be launched, as its end says it.
struct LaunchRefusal
{
    Cause cause;
    std::string message;
};

/// Returns the refusal for an error of Launcher.
LaunchRefusal refusalOf(const std::exception& error);

/// A value and no exception, as another thread makes it.
using PreparedResult = std::variant<PreparedLaunch, LaunchRefusal>;

/// Prepares launches on a thread of its own, so that folder, order and cgroup of the next stage are there when
/// the commit that starts it is on disk, and a shim that waits for no more than that. See docs/durability.md.
/// Threads: the engine's.
class LaunchPreparer
{
public:
    /// `launcher`: for as long as this is there.
    explicit LaunchPreparer(const Launcher& launcher) : _launcher(launcher) {}
    LaunchPreparer(const LaunchPreparer&) = delete;
    LaunchPreparer& operator=(const LaunchPreparer&) = delete;
    ~LaunchPreparer();

    /// Begins to prepare the attempt that `order` names. Replaces what was begun for its stage before.
    void begin(const std::filesystem::path& folder, const Order& order,
               const SecretFolder& secrets);

    /// Makes the folder of an attempt that may be prepared later, once there is nothing else to do.
    void expect(const std::filesystem::path& folder);

    /// Returns what was begun for the stage of `order`, or makes it now. Blocks: until it is made.
    PreparedResult take(const std::filesystem::path& folder, const Order& order,
                        const SecretFolder& secrets);

    /// Takes back what was begun for the stage.
    void drop(const std::string& stageId) { _begun.erase(stageId); }

private:
    using Task = std::packaged_task<PreparedResult()>;

    void startThread();
    void work();

    const Launcher& _launcher;
    std::map<std::string, std::future<PreparedResult>> _begun; ///< by stage id
    std::mutex _mutex;
    std::condition_variable _changed;
    std::deque<Task> _tasks;                     // guarded by _mutex
    std::deque<std::filesystem::path> _expected; // guarded by _mutex
    bool _ending = false;                        // guarded by _mutex
    std::thread _thread;                         ///< started with the first launch
};

} // namespace agent
