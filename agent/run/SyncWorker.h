#pragma once

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace agent
{

/// An attempt whose end is on record and whose files may still be in memory only.
struct UnsyncedAttempt
{
    std::string stageId;
    int attempt = 0;
    std::filesystem::path folder;    ///< of the attempt: its log, index and outcome
    std::filesystem::path workspace; ///< of its run
};

/// Syncs what ended attempts have written, so that the next stage does not wait for the disk: the file systems of
/// their log, index and outcome and of the workspace. See docs/durability.md.
/// Attempts that end within a second are synced together. An attempt that can't be synced is reported once and
/// stays pending in the record: the next daemon tries again.
class SyncWorker
{
public:
    /// `done` is called on the worker's thread when take() has something new.
    explicit SyncWorker(std::function<void()> done);

    /// Threads: any. Never blocks on the disk.
    void add(UnsyncedAttempt attempt);

    struct Result
    {
        std::string stageId;
        int attempt = 0;
        std::string error; ///< empty: it is on disk
    };

    /// Returns what was synced or failed since the last call. Threads: any.
    std::vector<Result> take();

    /// Syncs what is pending without delay and returns when that is done or `timeout` has passed.
    /// Threads: any.
    void finish(std::chrono::milliseconds timeout);

private:
    void work(const std::stop_token& stop);

    const std::function<void()> _done;
    std::mutex _mutex;
    std::condition_variable_any _changed;
    std::vector<UnsyncedAttempt> _pending; // guarded by _mutex
    std::vector<Result> _results;          // guarded by _mutex
    bool _busy = false;                    // guarded by _mutex
    bool _hurry = false;                   // guarded by _mutex
    std::jthread _thread;                  // last: it uses all above
};

} // namespace agent
