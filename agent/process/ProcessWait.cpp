#include "agent/process/ProcessWait.h"

#include "agent/os/Files.h"
#include "agent/process/SocketPeers.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <sstream>
#include <string_view>
#include <utility>

#include <sys/syscall.h>
#include <unistd.h>

namespace agent
{

namespace
{

constexpr std::size_t mostArguments = 4096;
constexpr std::size_t mostDescriptors = 1024; // looked at for each process
constexpr std::size_t mostPeers = 3;          // named

std::string procFile(int pid, const std::string& name)
{
    return "/proc/" + std::to_string(pid) + "/" + name;
}

std::vector<std::string> argumentsOf(int pid)
{
    std::string line = readFile(procFile(pid, "cmdline")).value_or("");
    line.resize(std::min(line.size(), mostArguments));
    std::vector<std::string> arguments;
    std::istringstream words(line);
    for (std::string word; std::getline(words, word, '\0');)
        arguments.push_back(word);
    return arguments;
}

std::vector<int> descriptorsOf(int pid)
{
    std::vector<int> found;
    std::error_code ignored;
    for (std::filesystem::directory_iterator entry(procFile(pid, "fd"), ignored), end;
         !ignored && entry != end && found.size() < mostDescriptors; entry.increment(ignored))
        found.push_back(std::atoi(entry->path().filename().c_str()));
    std::sort(found.begin(), found.end());
    return found;
}

/// Returns what the descriptor is open on: a path, `socket:[INODE]`, `pipe:[INODE]`; empty where that may not be known.
std::string targetOf(int pid, int descriptor)
{
    std::array<char, 4096> buffer{};
    const auto size = ::readlink(procFile(pid, "fd/" + std::to_string(descriptor)).c_str(),
                                 buffer.data(), buffer.size());
    return size <= 0 ? "" : std::string(buffer.data(), static_cast<std::size_t>(size));
}

/// A line of /proc/locks.
struct Lock
{
    std::string id;
    bool waits = false;
    int pid = 0;
    std::string inode;
};

std::optional<Lock> lockFrom(const std::string& line)
{
    std::istringstream words(line);
    Lock lock;
    std::string kind;
    std::string file; // MAJOR:MINOR:INODE
    std::string skipped;
    words >> lock.id >> kind;
    lock.waits = kind == "->";
    if (lock.waits)
        words >> kind;
    if (!(words >> skipped >> skipped >> lock.pid >> file))
        return std::nullopt;
    lock.inode = file.substr(file.rfind(':') + 1);
    return lock;
}

/// Returns the lock that `pid` waits for, as its holder's line has it.
std::optional<Lock> blockerOf(int pid)
{
    std::istringstream lines(readFile("/proc/locks").value_or(""));
    std::optional<Lock> held; // those that wait follow the line of who holds it
    for (std::string line; std::getline(lines, line);)
        if (const auto lock = lockFrom(line))
        {
            if (!lock->waits)
                held = lock;
            else if (lock->pid == pid && held && held->id == lock->id)
                return held;
        }
    return std::nullopt;
}

/// Whether the text of a fdinfo file has a line `KEY:…VALUE` that ends so.
bool saysOf(const std::string& text, std::string_view key, const std::string& value)
{
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);)
        if (line.starts_with(key) && line.find(value) != std::string::npos)
            return true;
    return false;
}

std::string infoOf(int pid, int descriptor)
{
    return readFile(procFile(pid, "fdinfo/" + std::to_string(descriptor))).value_or("");
}

std::string pathOf(int pid, const std::string& inode)
{
    for (const int descriptor : descriptorsOf(pid))
        if (saysOf(infoOf(pid, descriptor), "ino:", "\t" + inode))
            return targetOf(pid, descriptor);
    return "";
}

/// Returns a process that has the lock: who took it, or, where that one has ended, one that inherited the open
/// file with it.
std::optional<ProcessStat> holderOf(const Lock& lock)
{
    if (const auto taker = processStat(lock.pid); taker && taker->alive())
        return taker;
    for (const ProcessStat& process : allProcesses())
        for (const int descriptor : descriptorsOf(process.pid))
            if (saysOf(infoOf(process.pid, descriptor), "lock:", ":" + lock.inode + " "))
                return process;
    return std::nullopt;
}

ProcessWait lockWait(int pid)
{
    ProcessWait wait{.kind = "lock", .words = "a lock of a file"};
    const auto lock = blockerOf(pid);
    if (!lock)
        return wait;
    wait.path = pathOf(pid, lock->inode);
    if (!wait.path.empty())
        wait.words = "a lock of " + wait.path;
    const auto holder = holderOf(*lock);
    if (!holder)
        return wait;
    wait.holder = holder->pid;
    wait.words += ", held by " + std::to_string(holder->pid) + " (" + holder->comm + ")";
    return wait;
}

/// Returns the descriptor in whose call the process is; nothing for another call.
std::optional<int> calledDescriptor(int pid)
{
    static const std::set<long> onDescriptor{SYS_read,     SYS_readv,   SYS_write,  SYS_writev,
                                             SYS_recvfrom, SYS_recvmsg, SYS_sendto, SYS_sendmsg,
                                             SYS_connect,  SYS_accept,  SYS_accept4};
    std::istringstream words(readFile(procFile(pid, "syscall")).value_or(""));
    long number = -1;
    std::string descriptor;
    if (!(words >> number >> descriptor) || !onDescriptor.contains(number))
        return std::nullopt;
    return static_cast<int>(std::strtol(descriptor.c_str(), nullptr, 16));
}

ProcessWait socketWait(const SocketPeer& peer)
{
    return {.kind = "socket",
            .words = peer.words(),
            .path = "",
            .holder = std::nullopt,
            .peer = peer.address};
}

/// Returns the wait of a process in a call on `descriptor`.
std::optional<ProcessWait> callWait(int pid, int descriptor)
{
    const std::string target = targetOf(pid, descriptor);
    const std::string number = "descriptor " + std::to_string(descriptor);
    if (target.starts_with("socket:"))
    {
        const auto peers = socketPeers(pid);
        const auto found = peers.find(inodeOf(target));
        return found == peers.end() ? ProcessWait{.kind = "socket", .words = "a socket"}
                                    : socketWait(found->second);
    }
    if (target.starts_with("pipe:"))
        return ProcessWait{.kind = "pipe",
                           .words = descriptor == 0 ? "input from a pipe (standard input)"
                                                    : "the other end of a pipe (" + number + ")"};
    if (target.starts_with("/dev/tty") || target.starts_with("/dev/pts/"))
        return ProcessWait{.kind = "terminal", .words = "input from the terminal " + target};
    return std::nullopt;
}

/// Returns the wait of a process for whatever comes first: its connections are what a person asks for.
ProcessWait eventWait(int pid)
{
    ProcessWait wait{.kind = "events", .words = "events of its files, or a time"};
    std::vector<SocketPeer> connected;
    const auto peers = socketPeers(pid);
    for (const int descriptor : descriptorsOf(pid))
        if (const auto found = peers.find(inodeOf(targetOf(pid, descriptor))); found != peers.end())
            connected.push_back(found->second);
    if (connected.empty())
        return wait;
    if (connected.size() == 1)
        return socketWait(connected.front());
    wait.kind = "socket";
    wait.words = "one of " + std::to_string(connected.size()) + " sockets";
    for (std::size_t i = 0; i < std::min(mostPeers, connected.size()); ++i)
    {
        wait.words += (i == 0 ? ": " : ", ") + connected[i].address;
        wait.peer += (i == 0 ? "" : ", ") + connected[i].address;
    }
    return wait;
}

struct Known
{
    std::string_view begins; ///< of the kernel function's name
    const char* kind;
    const char* words;
};

// Where threads commonly wait, in kernels from 5.10 to 6.18; suffixes such as `.isra.0` come behind.
constexpr std::array<Known, 25> known{
    {{"do_wait", "child", "the end of a child process"},
     {"kernel_wait4", "child", "the end of a child process"},
     {"hrtimer_nanosleep", "time", "a time (it sleeps)"},
     {"common_nsleep", "time", "a time (it sleeps)"},
     {"futex_", "thread", "another of its threads"},
     {"pipe_read", "pipe", "input from a pipe"},
     {"anon_pipe_read", "pipe", "input from a pipe"},
     {"pipe_write", "pipe", "the reader of a pipe"},
     {"anon_pipe_write", "pipe", "the reader of a pipe"},
     {"wait_for_partner", "pipe", "the other end of a FIFO to be opened"},
     {"sigsuspend", "signal", "a signal"},
     {"__do_sys_pause", "signal", "a signal"},
     {"__x64_sys_pause", "signal", "a signal"},
     {"do_sigtimedwait", "signal", "a signal"},
     {"n_tty_read", "terminal", "input from a terminal"},
     {"do_signal_stop", "stop", "SIGCONT: it was stopped"},
     {"ptrace_stop", "stop", "a debugger"},
     {"inet_csk_accept", "socket", "a client to connect"},
     {"sk_wait_data", "socket", "data from a socket"},
     {"unix_stream", "socket", "data from a Unix socket"},
     {"wait_for_connect", "socket", "a connection to be accepted"},
     {"folio_wait", "disk", "the disk"},
     {"io_schedule", "disk", "the disk"},
     {"rpc_wait", "disk", "a file server (NFS)"},
     {"request_wait_answer", "disk", "a file system in user space (FUSE)"}}};

bool hasLock(const std::string& function)
{
    return function.find("lock_inode") != std::string::npos ||
           function.starts_with("fcntl_setlk") || function.starts_with("locks_");
}

bool waitsForAny(const std::string& function)
{
    return function.starts_with("poll_schedule") || function.starts_with("do_sys_poll") ||
           function.starts_with("do_poll") || function.starts_with("do_select") ||
           function.starts_with("ep_poll") || function.starts_with("do_epoll_wait");
}

std::optional<ProcessWait> waitOf(const ProcessInfo& process)
{
    if (process.wchan.empty())
        return std::nullopt;
    if (hasLock(process.wchan))
        return lockWait(process.pid);
    if (waitsForAny(process.wchan))
        return eventWait(process.pid);
    if (const auto descriptor = calledDescriptor(process.pid))
        if (auto wait = callWait(process.pid, *descriptor))
            return wait;
    for (const Known& one : known)
        if (process.wchan.starts_with(one.begins))
            return ProcessWait{.kind = one.kind, .words = one.words};
    return std::nullopt;
}

} // namespace

std::vector<ProcessDetail> detailsOf(const std::vector<ProcessInfo>& processes)
{
    std::vector<ProcessDetail> details;
    for (const ProcessInfo& process : processes)
        details.push_back(
            {.info = process, .arguments = argumentsOf(process.pid), .wait = waitOf(process)});
    return details;
}

} // namespace agent
