#include "agent/process/ProcessTree.h"

#include "agent/os/FileDescriptor.h"
#include "agent/os/Files.h"
#include "agent/process/AttemptFolder.h"
#include "agent/process/Cgroup.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string_view>
#include <system_error>

#include <dirent.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace agent
{

namespace
{

std::string procFile(int pid, const char* name)
{
    return "/proc/" + std::to_string(pid) + "/" + name;
}

/// The numbers among the names in a folder of /proc.
std::vector<int> numbersIn(const std::string& folder)
{
    std::vector<int> numbers;
    const std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir(folder.c_str()), ::closedir);
    while (const dirent* entry = open ? ::readdir(open.get()) : nullptr)
    {
        const std::string_view name = entry->d_name;
        int number = 0;
        const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
        if (error == std::errc{} && end == name.data() + name.size())
            numbers.push_back(number);
    }
    return numbers;
}

/// Returns the thread that represents the process: itself, unless it is leaderless (/proc has no details of an
/// ended thread); one in state D only if all are.
ProcessStat speaker(const ProcessStat& process)
{
    ProcessStat found = process;
    if (process.leaderless())
        for (const int id : numbersIn(procFile(process.pid, "task")))
            if (const auto thread = processStat(id);
                thread && thread->state != 'Z' && thread->state != 'X')
            {
                found = *thread;
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
               process.startTime >= _claim.startTime;
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
            if (process.startTime < _claim.startTime)
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
        .unkillable = thread.state == 'D' && killed(thread),
        .wchan = wchan == "0" ? "" : wchan,
        .cpuMs = static_cast<std::int64_t>(process.cpuTicks) * 1000 / ticksPerSecond,
        .ageMs = std::max<std::int64_t>(0, sinceBoot.tv_sec * 1000 + sinceBoot.tv_nsec / 1'000'000 -
                                               startMs),
    };
}

} // namespace

std::optional<ProcessStat> processStat(int pid)
{
    const auto text = readFile(procFile(pid, "stat"));
    if (!text)
        return std::nullopt;
    // The name may hold blanks and brackets: what counts is the last bracket.
    const std::size_t open = text->find('(');
    const std::size_t close = text->rfind(')');
    if (open == std::string::npos || close == std::string::npos || close < open)
        return std::nullopt;
    ProcessStat stat{.pid = pid, .comm = text->substr(open + 1, close - open - 1)};
    std::istringstream fields(text->substr(close + 1));
    std::string unused;
    unsigned flags = 0;
    std::uint64_t user = 0;
    std::uint64_t system = 0;
    fields >> stat.state >> stat.ppid >> unused >> stat.session;
    fields >> unused >> unused >> flags;
    for (int field = 10; field <= 13; ++field)
        fields >> unused;
    fields >> user >> system;
    for (int field = 16; field <= 19; ++field)
        fields >> unused;
    fields >> stat.threads >> unused >> stat.startTime;
    if (!fields)
        return std::nullopt;
    constexpr unsigned exiting = 0x4; // PF_EXITING of the kernel's include/linux/sched.h
    stat.exiting = (flags & exiting) != 0;
    stat.cpuTicks = user + system;
    return stat;
}

std::vector<ProcessStat> allProcesses()
{
    std::vector<ProcessStat> all;
    for (const int pid : numbersIn("/proc"))
        if (auto stat = processStat(pid))
            all.push_back(std::move(*stat));
    return all;
}

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

bool signalProcess(const ProcessStat& process, int signal)
{
    const FileDescriptor pidfd(static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0)));
    if (!pidfd.valid())
        return false;
    // After the open: from here on the pidfd can't become another process.
    const auto now = processStat(process.pid);
    return now && now->startTime == process.startTime &&
           ::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0) == 0;
}

std::vector<ProcessStat> remainsOf(const Order& order, const Claim& claim)
{
    if (order.runId.empty() || order.stageId.empty() || order.bootId != bootId())
        return {};
    return Remains(allProcesses(), order, claim).list();
}

std::vector<ProcessInfo> processesOf(const std::filesystem::path& folder)
{
    const AttemptFolder attempt(folder);
    const auto order = attempt.order();
    const auto claim = attempt.claim();
    if (!order || order->bootId != bootId())
        return {};
    std::set<int> tree;
    if (Cgroup::isStageGroup(order->cgroup))
        for (const int pid : Cgroup::processesIn(order->cgroup))
            tree.insert(pid);
    // Also beside a group: a process may have been moved out, or not yet in.
    const auto shim = claim ? processStat(claim->pid) : std::nullopt;
    const bool supervised = shim && shim->startTime == claim->startTime;
    if (supervised)
        tree.insert(shim->pid);
    else if (claim)
        for (const ProcessStat& process : remainsOf(*order, *claim))
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
        tree.erase(shim->pid);
    std::vector<ProcessInfo> infos;
    for (const ProcessStat& process : all)
        if (tree.contains(process.pid))
            infos.push_back(describe(process));
    return infos;
}

} // namespace agent
