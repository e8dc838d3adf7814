#pragma once

#include "agent/os/FileDescriptor.h"
#include "agent/run/ArtifactTrash.h"
#include "agent/run/UnusedMirrors.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace agent
{

/// Git mirrors, and how long one is kept that no stage uses.
struct MirrorCleanup
{
    std::vector<std::filesystem::path> folders;
    std::int64_t keepMs = 0;                           ///< 0: for ever
    std::function<void(const std::string&)> tell = {}; ///< each removal
};

/// Removes and compresses what is over, on a thread of low priority: a big workspace or log takes seconds.
/// A folder is first renamed into `trash`, which is quick and in one step; the thread empties that.
/// Nothing a stage does with its folders leads out of the state folder.
class CleanupWorker
{
public:
    /// `state`: the state folder. Begins with what an earlier daemon left in its `trash`.
    /// `log`: told what can't be done, once for each; called on the thread and by discard().
    CleanupWorker(std::filesystem::path state, std::function<void(const std::string&)> log,
                  MirrorCleanup mirrors = {});
    ~CleanupWorker();

    /// Takes `folder` out of sight now and removes it soon; a missing one is fine.
    /// Threads: any.
    /// `what`: told once with its size, when it is gone; empty: nothing is told.
    void discard(const std::filesystem::path& folder, const std::string& what = "");

    /// Whether all that was discarded is gone. Threads: any.
    [[nodiscard]] bool idle();

    /// The same for a set of artifacts, or all sets of a run.
    /// Threads: any.
    void discardArtifacts(const std::filesystem::path& folder);

    /// Compresses the logs of the ended attempts 1 to `attempts` in the folder `stage`, where that was not
    /// done yet. On a full disk they stay as they are and it is tried again later.
    /// Threads: any.
    void compressLogs(const std::filesystem::path& stage, int attempts);

private:
    using Clock = std::chrono::steady_clock;

    struct Measured
    {
        std::string name; ///< in the trash
        std::string what;
        std::int64_t bytes = 0;
    };

    struct Logs
    {
        std::filesystem::path stage;
        int attempts = 0;
    };

    void work(const std::stop_token& stop);
    void waitForWork(std::unique_lock<std::mutex>& lock, const std::stop_token& stop, bool& full);
    void emptyTrash(const std::stop_token& stop);
    bool compress(const Logs& logs, const std::stop_token& stop);
    void complain(const std::string& line);

    [[nodiscard]] FileDescriptor open(const std::filesystem::path& folder) const;

    const std::filesystem::path _state;
    const std::function<void(const std::string&)> _log;
    const std::function<void(const std::string&)> _tell;
    const FileDescriptor _root;
    const ArtifactTrash _artifacts;
    const UnusedMirrors _mirrors;
    std::optional<Clock::time_point> _mirrorsDue; ///< of the thread alone; none: never

    std::mutex _mutex;
    std::condition_variable_any _changed;
    bool _pending = true;            // guarded by _mutex: look into the trash
    bool _emptying = false;          // guarded by _mutex
    std::vector<Measured> _measured; // guarded by _mutex: to be told when they are gone
    std::deque<Logs> _logs;          // guarded by _mutex
    std::set<std::string> _told;     // guarded by _mutex
    std::jthread _thread;
};

} // namespace agent
