#include "agent/Watchdog.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <systemd/sd-daemon.h>

namespace agent
{

namespace
{

namespace fs = std::filesystem;
using std::chrono::milliseconds;

/// The calls in which a thread waits for another thread, another process or a time. Some architectures lack some.
constexpr long idleCalls[]{
#ifdef SYS_poll
    SYS_poll,      SYS_select,          SYS_pause,          SYS_epoll_wait,
#endif
    SYS_ppoll,     SYS_pselect6,        SYS_epoll_pwait,    SYS_futex,
    SYS_nanosleep, SYS_clock_nanosleep, SYS_rt_sigsuspend,  SYS_rt_sigtimedwait,
    SYS_wait4,     SYS_waitid,          SYS_restart_syscall};

std::string lineOf(const fs::path& file)
{
    std::ifstream stream(file);
    std::string line;
    std::getline(stream, line);
    return line;
}

/// Returns whether the thread is in a call that only the kernel can end: always in state D; in state S, as of a
/// file system in user space, when it isn't one of `idleCalls`.
/// Source: proc_pid_stat(5), proc_pid_syscall(5).
bool waitsForKernel(const fs::path& task)
{
    const std::string stat = lineOf(task / "stat");
    const auto name = stat.rfind(')');
    if (name == std::string::npos || stat.size() < name + 3)
        return false;
    const char state = stat[name + 2];
    if (state == 'D')
        return true;
    std::istringstream text(lineOf(task / "syscall"));
    long call = -1; // in none
    return state == 'S' && text >> call && call >= 0 &&
           std::find(std::begin(idleCalls), std::end(idleCalls), call) == std::end(idleCalls);
}

bool oneWaitsForKernel(const std::vector<std::string>& threads)
{
    std::error_code error;
    for (fs::directory_iterator task("/proc/self/task", error), end; !error && task != end;
         task.increment(error))
        if (std::find(threads.begin(), threads.end(), lineOf(task->path() / "comm")) !=
                threads.end() &&
            waitsForKernel(task->path()))
            return true;
    return false;
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
