#pragma once

#include "agent/shim/LogFile.h"

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <span>
#include <string_view>
#include <thread>

namespace agent
{

/// Writes the large chunks of a log on a thread of its own, so that the next one is read and masked meanwhile: for the
/// file system to take a chunk costs as much as all else that is done with it. Chunks are written in the order in
/// which they came, one at a time. The thread is started with the first large one; where it can't be, and for
/// small chunks, there is none.
/// Threads: one, which alone uses the file between append() and wait().
class LogThread
{
public:
    /// `file`: for as long as this is there.
    explicit LogThread(LogFile& file) : _file(file) {}
    LogThread(const LogThread&) = delete;
    LogThread& operator=(const LogThread&) = delete;
    ~LogThread();

    /// As LogFile::append(). The texts, and the list of them, stay as they are until the next append() or wait().
    /// Blocks: until the chunk before is written; with a small one until it is written too.
    void append(LogStream stream, std::span<const std::string_view> texts);

    /// Blocks until all is written.
    void wait();

    /// Whether a chunk is being written.
    [[nodiscard]] bool busy();

private:
    bool start();
    void work();

    LogFile& _file;
    std::mutex _mutex;
    std::condition_variable _changed;
    LogStream _stream = LogStream::Output;    // guarded by _mutex
    std::span<const std::string_view> _texts; // guarded by _mutex; empty: nothing is to be written
    bool _ending = false;                     // guarded by _mutex
    std::thread _thread;
};

} // namespace agent
