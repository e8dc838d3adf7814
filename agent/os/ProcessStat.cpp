#include "agent/os/ProcessStat.h"

#include "agent/os/FileDescriptor.h"
#include "agent/os/Files.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <memory>
#include <string_view>

#include <dirent.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace agent
{

namespace
{

/// The calls in which a thread waits for another thread, another process or a time. Some architectures lack some.
constexpr long idleCalls[]{
#ifdef SYS_poll
    SYS_poll,      SYS_select,          SYS_pause,          SYS_epoll_wait,
#endif
    SYS_ppoll,     SYS_pselect6,        SYS_epoll_pwait,    SYS_futex,
    SYS_nanosleep, SYS_clock_nanosleep, SYS_rt_sigsuspend,  SYS_rt_sigtimedwait,
    SYS_wait4,     SYS_waitid,          SYS_restart_syscall};

/// What /proc/PID/stat says of every number among the names in a folder of /proc.
std::vector<ProcessStat> allIn(const std::string& folder)
{
    std::vector<ProcessStat> found;
    const std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir(folder.c_str()), ::closedir);
    while (const dirent* entry = open ? ::readdir(open.get()) : nullptr)
    {
        const std::string_view name = entry->d_name;
        int number = 0;
        const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
        if (error == std::errc{} && end == name.data() + name.size())
            if (auto stat = processStat(number))
                found.push_back(std::move(*stat));
    }
    return found;
}

} // namespace

std::uint64_t ticksSinceBoot()
{
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    static const auto perSecond = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
    return static_cast<std::uint64_t>(now.tv_sec) * perSecond +
           static_cast<std::uint64_t>(now.tv_nsec) * perSecond / 1'000'000'000;
}

std::optional<ProcessStat> processStat(int pid)
{
    const auto text = readFile("/proc/" + std::to_string(pid) + "/stat");
    if (!text)
        return std::nullopt;
    // The name may hold blanks and brackets: what counts is the last bracket.
    const std::size_t open = text->find('(');
    const std::size_t close = text->rfind(')');
    if (open == std::string::npos || close == std::string::npos || close < open)
        return std::nullopt;
    ProcessStat stat{.pid = pid, .comm = text->substr(open + 1, close - open - 1)};
    unsigned flags = 0;
    unsigned long long user = 0;
    unsigned long long system = 0;
    unsigned long long startTime = 0;
    const int fields = std::sscanf(text->c_str() + close + 1,
                                   " %c %d %*s %d %*s %*s %u %*s %*s %*s %*s %llu %llu %*s %*s "
                                   "%*s %*s %d %*s %llu",
                                   &stat.state, &stat.ppid, &stat.session, &flags, &user, &system,
                                   &stat.threads, &startTime);
    if (fields != 8)
        return std::nullopt;
    constexpr unsigned exiting = 0x4; // PF_EXITING of the kernel's include/linux/sched.h
    stat.exiting = (flags & exiting) != 0;
    stat.startTime = startTime;
    stat.cpuTicks = user + system;
    return stat;
}

std::vector<ProcessStat> allProcesses()
{
    return allIn("/proc");
}

std::vector<ProcessStat> threadsOf(int pid)
{
    return allIn("/proc/" + std::to_string(pid) + "/task");
}

namespace
{

/// What /proc says of the system call that a thread of ours is in. While we are not dumpable the file is root's: then we are
/// dumpable for that moment.
std::optional<std::string> callOf(int thread)
{
    const std::string file = "/proc/" + std::to_string(thread) + "/syscall";
    auto call = readFile(file);
    if (call || errno != EACCES || ::prctl(PR_GET_DUMPABLE) != 0)
        return call;
    ::prctl(PR_SET_DUMPABLE, 1);
    call = readFile(file);
    ::prctl(PR_SET_DUMPABLE, 0);
    return call;
}

} // namespace

bool waitsForKernel(const ProcessStat& thread)
{
    if (thread.state == 'D')
        return true;
    const std::string call = callOf(thread.pid).value_or("");
    long number = -1; // in none, as of one that runs
    std::sscanf(call.c_str(), "%ld", &number);
    return thread.state == 'S' && number >= 0 &&
           std::find(std::begin(idleCalls), std::end(idleCalls), number) == std::end(idleCalls);
}

bool signalProcess(const ProcessStat& process, int signal)
{
    // By number: <sys/pidfd.h> of glibc 2.36 can't be linked from C++.
    const FileDescriptor pidfd(static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0)));
    const bool withoutPidfd = !pidfd.valid() && errno != ESRCH;
    // After the open: from here on the pidfd can't become another process.
    const auto now = processStat(process.pid);
    if (!now || now->startTime != process.startTime)
        return false;
    if (pidfd.valid())
        return ::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0) == 0;
    // No descriptor left, or a sandbox without pidfds.
    return withoutPidfd && ::kill(process.pid, signal) == 0;
}

} // namespace agent
