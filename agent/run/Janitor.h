#pragma once

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

namespace agent
{

/// Removes what nobody needs any more, off the engine's thread: a big workspace takes seconds.
/// A folder is first renamed into `trash`, which is quick and in one step; the thread empties that.
class Janitor
{
public:
    /// Begins with what an earlier daemon left in `trash`.
    explicit Janitor(std::filesystem::path trash);
    ~Janitor();

    /// Takes `folder` out of sight now and removes it soon; a missing one is fine.
    /// Threads: any.
    void discard(const std::filesystem::path& folder);

private:
    void work();

    std::filesystem::path _trash;
    std::mutex _mutex;
    std::condition_variable _changed;
    bool _pending = true;
    bool _stopping = false;
    std::thread _thread;
};

} // namespace agent
