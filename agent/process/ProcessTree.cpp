#include "agent/process/ProcessTree.h"

#include "agent/os/Files.h"
#include "agent/process/AttemptFolder.h"
#include "agent/process/Cgroup.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <set>
#include <sstream>
#include <string_view>
#include <system_error>

#include <unistd.h>

namespace agent
{

namespace
{

std::string procFile(int pid, const char* name)
{
    return "/proc/" + std::to_string(pid) + "/" + name;
}

/// Returns the thread that represents the process: itself, unless it is leaderless (/proc has no details of an
/// ended thread); one in state D only if all are.
ProcessStat speaker(const ProcessStat& process)
{
    ProcessStat found = process;
    if (process.leaderless())
        for (const ProcessStat& thread : threadsOf(process.pid))
            if (thread.state != 'Z' && thread.state != 'X')
            {
                found = thread;
                if (found.state != 'D')
                    break;
            }
    return found;
}

/// Whether the environment of `process` holds every one of `wanted`, which are NAME=VALUE.
bool environmentHas(const ProcessStat& process, const std::vector<std::string>& wanted)
{
    const auto environment = readFile(procFile(speaker(process).pid, "environ"));
    if (!environment)
        return false;
    std::set<std::string_view> there;
    std::string_view rest = *environment;
    while (!rest.empty())
    {
        const std::size_t end = std::min(rest.find('\0'), rest.size());
        there.insert(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return std::all_of(wanted.begin(), wanted.end(),
                       [&](const std::string& entry) { return there.contains(entry); });
}

std::vector<std::string> marksOf(const Order& order)
{
    std::vector<std::string> marks{"RUN_ID=" + order.runId, "STAGE_ID=" + order.stageId};
    // Another attempt of the same stage has the same ids.
    if (order.env.contains("STAGE_ATTEMPT"))
        marks.push_back("STAGE_ATTEMPT=" + std::to_string(order.attempt));
    return marks;
}

/// What of the processes is an attempt's, grown from those that its environment proves.
class Remains
{
public:
    Remains(std::vector<ProcessStat> all, const Order& order, const Claim& claim)
        : _claim(claim), _all(std::move(all))
    {
        for (const ProcessStat& process : _all)
            _byPid.emplace(process.pid, &process);
        const auto marks = marksOf(order);
        for (const ProcessStat& process : _all)
            if (eligible(process) && environmentHas(process, marks))
                _ours.insert(process.pid);
        while (grow())
            ;
    }

    [[nodiscard]] std::vector<ProcessStat> list() const
    {
        std::vector<ProcessStat> found;
        for (const ProcessStat& process : _all)
            if (_ours.contains(process.pid))
                found.push_back(process);
        return found;
    }

private:
    [[nodiscard]] bool eligible(const ProcessStat& process) const
    {
        return process.pid > 1 && process.pid != ::getpid() && process.alive() &&
               process.startTime >= _claim.began();
    }

    /// A session is the attempt's when its leader is, or when the leader is gone, a member is the
    /// attempt's and nobody in it is older than the claim. The number alone proves nothing: it may be
    /// the shim's pid, taken again by a stranger.
    [[nodiscard]] bool ownSession(int session) const
    {
        if (session <= 1)
            return false;
        if (const auto leader = _byPid.find(session); leader != _byPid.end())
            return _ours.contains(session) || isShim(*leader->second);
        bool member = false;
        for (const ProcessStat& process : _all)
        {
            if (process.session != session)
                continue;
            if (process.startTime < _claim.began())
                return false;
            member = member || _ours.contains(process.pid);
        }
        return member;
    }

    [[nodiscard]] bool isShim(const ProcessStat& process) const
    {
        return process.pid == _claim.pid && process.startTime == _claim.startTime;
    }

    [[nodiscard]] bool childOfOurs(const ProcessStat& process) const
    {
        if (_ours.contains(process.ppid))
            return true;
        const auto parent = _byPid.find(process.ppid);
        return parent != _byPid.end() && isShim(*parent->second);
    }

    bool grow()
    {
        const std::size_t before = _ours.size();
        for (const ProcessStat& process : _all)
            if (eligible(process) && !isShim(process) && !_ours.contains(process.pid) &&
                (childOfOurs(process) || ownSession(process.session)))
                _ours.insert(process.pid);
        return _ours.size() > before;
    }

    Claim _claim;
    std::vector<ProcessStat> _all;
    std::map<int, const ProcessStat*> _byPid;
    std::set<int> _ours;
};

/// Whether a KILL is on its way to the thread or is ending it.
bool killed(const ProcessStat& thread)
{
    constexpr std::uint64_t kill = 1U << (SIGKILL - 1);
    std::istringstream lines(readFile(procFile(thread.pid, "status")).value_or(""));
    for (std::string line; std::getline(lines, line);)
        if (line.starts_with("SigPnd:") || line.starts_with("ShdPnd:"))
            if ((std::strtoull(line.c_str() + std::strlen("SigPnd:"), nullptr, 16) & kill) != 0)
                return true;
    return thread.exiting;
}

ProcessInfo describe(const ProcessStat& process)
{
    static const std::int64_t ticksPerSecond = ::sysconf(_SC_CLK_TCK);
    timespec sinceBoot{};
    ::clock_gettime(CLOCK_BOOTTIME, &sinceBoot);
    const auto startMs = static_cast<std::int64_t>(process.startTime) * 1000 / ticksPerSecond;
    const ProcessStat thread = speaker(process);
    const std::string wchan = readFile(procFile(thread.pid, "wchan")).value_or("");
    return ProcessInfo{
        .pid = process.pid,
        .ppid = process.ppid,
        .comm = process.comm,
        .state = thread.state,
        .unkillable = (thread.state == 'D' && killed(thread)) || thread.endsAfterOthers(),
        .wchan = wchan == "0" ? "" : wchan,
        .cpuMs = static_cast<std::int64_t>(process.cpuTicks) * 1000 / ticksPerSecond,
        .ageMs = std::max<std::int64_t>(0, sinceBoot.tv_sec * 1000 + sinceBoot.tv_nsec / 1'000'000 -
                                               startMs),
    };
}

} // namespace

std::string bootId()
{
    const char* file = "/proc/sys/kernel/random/boot_id";
#ifdef STAGE_AGENT_FAILPOINTS
    if (const char* fake = std::getenv("STAGE_AGENT_BOOT_ID_FILE"))
        file = fake;
#endif
    auto text = readFile(file);
    if (!text)
        throw std::system_error(errno, std::generic_category(), std::string("cannot read ") + file);
    while (!text->empty() && text->back() == '\n')
        text->pop_back();
    return *text;
}

BootTime bootTime()
{
    static const std::string id = bootId(); // a boot outlives a process
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    return {.bootId = id, .ms = std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000};
}

std::vector<ProcessStat> remainsOf(const Order& order, const Claim& claim)
{
    if (order.runId.empty() || order.stageId.empty() || order.bootId != bootId())
        return {};
    return Remains(allProcesses(), order, claim).list();
}

std::vector<ProcessInfo> processesOf(const std::filesystem::path& folder, const Seal& seal)
{
    const AttemptFolder attempt(folder, seal);
    const auto order = attempt.order();
    return order ? processesOf(*order, attempt.claim()) : std::vector<ProcessInfo>();
}

std::vector<ProcessInfo> processesOf(const Order& order, const std::optional<Claim>& claim)
{
    if (order.bootId != bootId())
        return {};
    std::set<int> tree;
    if (Cgroup::isStageGroup(order.cgroup))
        for (const int pid : Cgroup::processesIn(order.cgroup))
            tree.insert(pid);
    // Also beside a group: a process may have been moved out, or not yet in.
    const auto shim = claim ? processStat(claim->pid) : std::nullopt;
    // Under ProtectProc=invisible /proc does not show a shim, but its children.
    const bool hidden = claim && claim->pid > 1 && !shim && ::kill(claim->pid, 0) == 0;
    const bool supervised = hidden || (shim && shim->startTime == claim->startTime);
    if (supervised)
        tree.insert(claim->pid);
    else if (claim)
        for (const ProcessStat& process : remainsOf(order, *claim))
            tree.insert(process.pid);
    const auto all = allProcesses();
    // /proc is walked by rising pid, but pids wrap: a child may stand before its parent.
    for (std::size_t before = 0; before != tree.size();)
    {
        before = tree.size();
        for (const ProcessStat& process : all)
            if (tree.contains(process.ppid))
                tree.insert(process.pid);
    }
    if (supervised)
        tree.erase(claim->pid);
    std::vector<ProcessInfo> infos;
    for (const ProcessStat& process : all)
        if (tree.contains(process.pid))
            infos.push_back(describe(process));
    return infos;
}

} // namespace agent
