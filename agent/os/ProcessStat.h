#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace agent
{

/// A process as /proc/PID/stat shows it. Pid and start time together name it for ever.
struct ProcessStat
{
    int pid = 0;
    int ppid = 0;
    int session = 0;
    char state = '?'; ///< of its first thread: R, S, D, T, Z …
    int threads = 1;
    bool exiting = false; ///< the kernel is taking it down
    std::string comm;
    std::uint64_t startTime = 0; ///< clock ticks since boot
    std::uint64_t cpuTicks = 0;  ///< user and system

    /// Its first thread has ended and others go on: a zombie to look at, but nothing has ended.
    [[nodiscard]] bool leaderless() const { return state == 'Z' && threads > 1; }

    /// It has been killed and waits for others to end first, as the first process of a pid namespace for all in it.
    [[nodiscard]] bool endsAfterOthers() const { return exiting && state == 'S'; }

    /// Neither a zombie nor just vanishing.
    [[nodiscard]] bool alive() const { return leaderless() || (state != 'Z' && state != 'X'); }
};

/// Returns now in clock ticks since boot, as start times are.
std::uint64_t ticksSinceBoot();

/// Reads one process; returns nullopt if it does not exist. Source: proc(5).
std::optional<ProcessStat> processStat(int pid);

/// Every process that we may see, zombies too.
std::vector<ProcessStat> allProcesses();

/// The threads of a process; empty if it does not exist.
std::vector<ProcessStat> threadsOf(int pid);

/// Returns whether a thread of ours is in a call that only the kernel can end: always in state D; in state S, as of
/// a file system in user space, when the call is none in which threads wait for a thread, a process or a time.
/// Source: proc_pid_syscall(5).
bool waitsForKernel(const ProcessStat& thread);

/// Sends `signal` to exactly the process that was read, not to one that got its pid since.
/// Returns whether it was sent.
bool signalProcess(const ProcessStat& process, int signal);

} // namespace agent
