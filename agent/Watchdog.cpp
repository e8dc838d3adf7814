#include "agent/Watchdog.h"

#include "agent/os/ProcessStat.h"

#include <algorithm>

#include <sys/prctl.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

namespace agent
{

namespace
{

using std::chrono::milliseconds;

bool oneWaitsForKernel(const std::vector<std::string>& names)
{
    const auto threads = threadsOf(::getpid());
    return std::any_of(threads.begin(), threads.end(),
                       [&](const ProcessStat& thread)
                       {
                           return std::find(names.begin(), names.end(), thread.comm) !=
                                      names.end() &&
                                  waitsForKernel(thread);
                       });
}

bool isAlive(const Watchdog::Part& part, milliseconds timeout)
try
{
    return part.answers(timeout) || oneWaitsForKernel(part.threads);
}
catch (const std::exception&)
{
    return true; // such as out of memory: no thread hangs
}

} // namespace

Watchdog::Watchdog(std::vector<Part> parts, std::function<void(const std::string&)> log)
    : _parts(std::move(parts)), _log(std::move(log))
{
    std::uint64_t interval = 0;
    if (::sd_watchdog_enabled(0, &interval) <= 0)
        return;
    _interval = std::chrono::duration_cast<milliseconds>(std::chrono::microseconds(interval));
    _thread = std::jthread([this](const std::stop_token& stop) { work(stop); });
}

void Watchdog::stop()
{
    _thread = {};
}

/// A round takes a third of the interval at most, and as long passes between two.
void Watchdog::work(const std::stop_token& stop)
{
    ::prctl(PR_SET_NAME, "watchdog");
    const milliseconds pause = _interval / 3;
    const milliseconds timeout = pause / std::max<std::size_t>(1, _parts.size());
    std::string silent;
    while (!stop.stop_requested())
    {
        const auto part = std::find_if(_parts.begin(), _parts.end(),
                                       [&](const Part& asked) { return !isAlive(asked, timeout); });
        if (part == _parts.end())
            ::sd_notify(0, "WATCHDOG=1");
        else if (part->name != silent && !stop.stop_requested())
            _log(part->name + " does not answer: systemd will restart the agent; stages go on");
        silent = part == _parts.end() ? "" : part->name;
        std::unique_lock lock(_mutex);
        _changed.wait_for(lock, stop, pause, [] { return false; });
    }
}

} // namespace agent
