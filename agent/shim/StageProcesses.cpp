#include "agent/shim/StageProcesses.h"

#include "agent/wire/Failpoint.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <set>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace agent
{
namespace
{

/// Rounds of STOP after which a tree that still grows is killed all the same; the next kill() goes on.
constexpr int maxStopRounds = 10;

/// All its living threads wait in the kernel, uninterruptibly; or for a process of which that holds.
bool heldByKernel(const ProcessStat& process)
{
    auto threads = threadsOf(process.pid);
    std::erase_if(threads,
                  [](const ProcessStat& one) { return one.state == 'Z' || one.state == 'X'; });
    return !threads.empty() && std::all_of(threads.begin(), threads.end(),
                                           [](const ProcessStat& one)
                                           { return one.state == 'D' || one.endsAfterOthers(); });
}

} // namespace

std::string_view StageProcesses::containment() const
{
    return _cgroup.available() ? "cgroup" : "subreaper";
}

bool StageProcesses::reap()
{
    FAILPOINT("shim.reap");
    for (;;)
    {
        int status = 0;
        const pid_t pid = ::waitpid(-1, &status, WNOHANG);
        if (pid > 0 && pid == _command)
            _commandStatus = status;
        if (pid == 0)
            return true;
        if (pid < 0 && errno != EINTR)
            return _cgroup.populated();
    }
}

std::vector<ProcessStat> StageProcesses::list() const
{
    const std::vector<ProcessStat> all = allProcesses();
    const std::vector<pid_t> grouped = _cgroup.pids();
    std::set<pid_t> members(grouped.begin(), grouped.end());
    members.insert(::getpid());
    // Pids have no order of birth, so look again until no child of a member is found.
    for (std::size_t before = 0; before != members.size();)
    {
        before = members.size();
        for (const ProcessStat& process : all)
            if (members.contains(process.ppid))
                members.insert(process.pid);
    }
    members.erase(::getpid());
    std::vector<ProcessStat> living;
    std::copy_if(all.begin(), all.end(), std::back_inserter(living),
                 [&](const ProcessStat& p) { return members.contains(p.pid) && p.alive(); });
    return living;
}

std::vector<ProcessStat> StageProcesses::hold() const
{
    std::set<pid_t> stopped;
    std::vector<ProcessStat> processes;
    for (int round = 0; round < maxStopRounds; ++round)
    {
        const std::size_t before = stopped.size();
        processes = list();
        for (const ProcessStat& process : processes)
            if (stopped.insert(process.pid).second)
                signalProcess(process, SIGSTOP);
        if (stopped.size() == before)
            break;
    }
    return processes;
}

void StageProcesses::terminate() const
{
    FAILPOINT("shim.terminate");
    const auto processes = hold();
    for (const ProcessStat& process : processes)
        signalProcess(process, SIGTERM);
    for (const ProcessStat& process : processes)
        signalProcess(process, SIGCONT);
}

void StageProcesses::kill()
{
    _cgroup.kill();
    // The walk is for those outside the group; give the group's time to be gone first.
    const bool onlyGroup = _cgroup.available() && !_killedBefore;
    _killedBefore = true;
    if (onlyGroup)
        return;
    FAILPOINT("shim.kill");
    for (const ProcessStat& process : hold())
        signalProcess(process, SIGKILL);
}

bool StageProcesses::held() const
{
    const auto left = list();
    return !left.empty() && std::all_of(left.begin(), left.end(), heldByKernel);
}

Usage StageProcesses::usage() const
{
    Usage usage;
    rusage children{};
    if (::getrusage(RUSAGE_CHILDREN, &children) == 0)
    {
        const auto ms = [](const timeval& time)
        { return std::int64_t{time.tv_sec} * 1000 + time.tv_usec / 1000; };
        usage.cpuMs = ms(children.ru_utime) + ms(children.ru_stime);
        usage.maxRssBytes = std::int64_t{children.ru_maxrss} * 1024;
        usage.readBytes = std::int64_t{children.ru_inblock} * 512;
        usage.writeBytes = std::int64_t{children.ru_oublock} * 512;
    }
    if (_cgroup.available())
        _cgroup.addUsage(usage);
    return usage;
}

} // namespace agent
