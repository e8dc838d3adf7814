#pragma once

#include "agent/os/FileDescriptor.h"
#include "agent/shim/LogWriter.h"

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <thread>

namespace agent
{

/// Masks and writes on a thread of its own what is read, so that more can be read meanwhile. Who reads has little to do
/// then, and sleeps until there is more: a command that prints much has a core for itself, the log the other one.
///
/// What is read while the thread is at work is gathered, up to 1 MiB, and becomes one chunk of the log. Bytes are
/// written in the order in which they were taken. The thread is started with the first large read; small ones, while it
/// has nothing to do, are written by the caller, as they all are where it can't be started.
///
/// Errors: whatever the log threw on the thread is thrown once by a later call; nothing is written after it.
/// Threads: one, which alone uses the log while busy() returns false.
class LogThread
{
public:
    /// `log`: for as long as this is there.
    explicit LogThread(LogWriter& log) : _log(log) {}
    LogThread(const LogThread&) = delete;
    LogThread& operator=(const LogThread&) = delete;
    ~LogThread();

    /// Returns where the bytes belong that are read next of a stream; never empty. It is lent until take().
    /// Blocks: while as much as is gathered, or bytes of another stream, wait for the thread.
    [[nodiscard]] std::span<char> room(LogStream stream);

    /// Takes the first `size` bytes of what was lent, or gives it back with 0.
    void take(std::size_t size);

    /// Whether the thread has something to do.
    [[nodiscard]] bool busy();

    /// Becomes readable when the thread has done all, after busy() has returned true, until busy() is called again. -1: the
    /// thread was not started.
    [[nodiscard]] int doneDescriptor() const { return _done.get(); }

    /// Blocks until all is written.
    void settle();

private:
    struct Text
    {
        LogStream stream = LogStream::Output;
        std::unique_ptr<char[]> bytes; ///< its pages are made when they are used
        std::size_t size = 0;
    };

    void write(Text& text);
    bool start();
    void work();
    void signalDone();
    void rethrow();

    LogWriter& _log;
    FileDescriptor _done; ///< an eventfd
    std::mutex _mutex;
    std::condition_variable _changed;
    Text _gathered; ///< guarded by _mutex, but for the bytes that are lent
    Text _written;  ///< the thread's while _busy
    bool _lent = false;
    bool _busy = false;          // guarded by _mutex, as all that follows
    bool _asked = false;         ///< whether it is busy
    bool _signalled = false;     ///< _done is readable
    std::exception_ptr _problem; ///< what the log threw
    bool _ending = false;
    std::thread _thread;
};

} // namespace agent
