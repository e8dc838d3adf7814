#pragma once

#include "agent/wire/Order.h"

#include <cstdint>
#include <filesystem>
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

    /// Neither a zombie nor just vanishing.
    [[nodiscard]] bool alive() const { return leaderless() || (state != 'Z' && state != 'X'); }
};

/// A process of a stage, for people who ask why it takes so long.
struct ProcessInfo
{
    int pid = 0;
    int ppid = 0;
    std::string comm;
    char state = '?';        ///< of the thread that speaks for it: the first, unless that has ended
    bool unkillable = false; ///< in D although it was killed: a moment in D alone is nothing
    std::string wchan; ///< where it waits in the kernel; empty when it runs or may not be known
    std::int64_t cpuMs = 0;
    std::int64_t ageMs = 0;
};

/// Reads one process; returns nullopt if it does not exist. Source: proc(5).
std::optional<ProcessStat> processStat(int pid);

/// Every process that we may see, zombies too.
std::vector<ProcessStat> allProcesses();

/// The id of this boot of the kernel.
/// Errors: std::system_error.
std::string bootId();

/// Sends `signal`, unless the pid was reused; returns whether it was sent.
bool signalProcess(const ProcessStat& process, int signal);

/// The living processes that an attempt left behind: those with its ids in their environment, their
/// descendants and sessions. Never one that is older than the claim, nor the caller itself.
/// Returns an empty list under another boot.
std::vector<ProcessStat> remainsOf(const Order& order, const Claim& claim);

/// The processes of the attempt in `folder`: of its cgroup, and the descendants of its shim, which
/// is their subreaper, or what a lost shim left. Without the shim itself.
/// Errors: as AttemptFolder::order(). Blocks: for a walk over /proc.
std::vector<ProcessInfo> processesOf(const std::filesystem::path& folder);

} // namespace agent
