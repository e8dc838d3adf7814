#include "agent/shim/LogThread.h"

#include <cstdint>
#include <system_error>
#include <utility>

#include <sys/eventfd.h>
#include <unistd.h>

namespace agent
{
namespace
{

/// What is gathered at most: all that the pipe holds. Besides fewer calls, the file system takes a large piece for half of
/// what it takes for the same bytes in small ones.
constexpr std::size_t mostBytes = 1024UL * 1024;

/// Less is masked and written in less time than it takes to wake a thread twice.
constexpr std::size_t largeBytes = 128UL * 1024;

} // namespace

LogThread::~LogThread()
{
    if (!_thread.joinable())
        return;
    {
        const std::lock_guard lock(_mutex);
        _ending = true;
    }
    _changed.notify_all();
    _thread.join();
}

std::span<char> LogThread::room(LogStream stream)
{
    std::unique_lock lock(_mutex);
    const auto hasRoom = [&]
    {
        return !_busy || _gathered.size == 0 ||
               (_gathered.stream == stream && _gathered.size < mostBytes);
    };
    _changed.wait(lock, hasRoom);
    rethrow();
    if (!_gathered.bytes)
        _gathered.bytes = std::make_unique_for_overwrite<char[]>(mostBytes);
    _gathered.stream = stream;
    _lent = true;
    return {_gathered.bytes.get() + _gathered.size, mostBytes - _gathered.size};
}

void LogThread::take(std::size_t size)
{
    std::unique_lock lock(_mutex);
    _lent = false;
    _gathered.size += size;
    if (_busy || _gathered.size == 0)
        return;
    if (_gathered.size < largeBytes || !start())
    {
        lock.unlock();
        return write(_gathered);
    }
    std::swap(_gathered, _written);
    _busy = true;
    lock.unlock();
    _changed.notify_all();
}

bool LogThread::busy()
{
    const std::lock_guard lock(_mutex);
    rethrow();
    _asked = _busy;
    std::uint64_t count = 0;
    if (std::exchange(_signalled, false))
        while (::read(_done.get(), &count, sizeof count) < 0 && errno == EINTR)
            ;
    return _busy;
}

void LogThread::settle()
{
    std::unique_lock lock(_mutex);
    _changed.wait(lock, [this] { return !_busy; });
    rethrow();
}

void LogThread::write(Text& text)
{
    // Not to be written again where it throws.
    const std::size_t size = std::exchange(text.size, 0);
    _log.take(text.stream, {text.bytes.get(), size});
}

bool LogThread::start()
try
{
    if (_thread.joinable())
        return true;
    _done = FileDescriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (_done.valid())
        _thread = std::thread([this] { work(); });
    return _done.valid();
}
catch (const std::system_error&)
{
    _done.reset();
    return false; // the host has no more threads: then it is written as small ones are
}

void LogThread::work()
{
    std::unique_lock lock(_mutex);
    while (true)
    {
        _changed.wait(lock, [this] { return _ending || _busy; });
        if (!_busy)
            return;
        lock.unlock();
        std::exception_ptr problem;
        try
        {
            write(_written);
        }
        catch (...)
        {
            problem = std::current_exception();
        }
        lock.lock();
        _busy = _gathered.size > 0 && !_lent && !problem;
        if (_busy)
            std::swap(_gathered, _written);
        else
            signalDone();
        _problem = problem;
        _changed.notify_all();
    }
}

void LogThread::signalDone()
{
    const std::uint64_t one = 1;
    if (std::exchange(_asked, false))
        _signalled = ::write(_done.get(), &one, sizeof one) == sizeof one;
}

void LogThread::rethrow()
{
    if (_problem)
        std::rethrow_exception(std::exchange(_problem, nullptr));
}

} // namespace agent
