#include "agent/shim/LogThread.h"

#include <system_error>

namespace agent
{
namespace
{

/// A smaller chunk is written in less time than it takes to wake a thread twice.
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

void LogThread::append(LogStream stream, std::span<const std::string_view> texts)
{
    wait();
    if (sizeOf(texts) < largeBytes || !start())
        return _file.append(stream, texts);
    {
        const std::lock_guard lock(_mutex);
        _stream = stream;
        _texts = texts;
    }
    _changed.notify_all();
}

void LogThread::wait()
{
    if (!_thread.joinable())
        return;
    std::unique_lock lock(_mutex);
    _changed.wait(lock, [this] { return _texts.empty(); });
}

bool LogThread::busy()
{
    const std::lock_guard lock(_mutex);
    return !_texts.empty();
}

bool LogThread::start()
try
{
    if (!_thread.joinable())
        _thread = std::thread([this] { work(); });
    return true;
}
catch (const std::system_error&)
{
    return false; // the host has no more threads: then it is written as small ones are
}

void LogThread::work()
{
    std::unique_lock lock(_mutex);
    while (true)
    {
        _changed.wait(lock, [this] { return _ending || !_texts.empty(); });
        if (_texts.empty())
            return;
        lock.unlock();
        _file.append(_stream, _texts);
        lock.lock();
        _texts = {};
        _changed.notify_all();
    }
}

} // namespace agent
