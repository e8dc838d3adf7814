#pragma once

#include "agent/model/Run.h"
#include "agent/os/ProcessStat.h"
#include "agent/wire/Order.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace agent
{

/// A process of a stage, for people who ask why it takes so long.
struct ProcessInfo
{
    int pid = 0;
    int ppid = 0;
    std::string comm;
    char state = '?'; ///< of the thread that speaks for it: the first, unless that has ended
    bool unkillable =
        false; ///< in D although it was killed, a moment in D alone is nothing; or ends after such a one
    std::string wchan; ///< where it waits in the kernel; empty when it runs or may not be known
    std::int64_t cpuMs = 0;
    std::int64_t ageMs = 0;
};

/// The id of this boot of the kernel.
/// Errors: std::system_error.
std::string bootId();

/// Returns the id of this boot, and the current time by CLOCK_BOOTTIME. Errors: as bootId().
BootTime bootTime();

/// The living processes that an attempt left behind: those with its ids in their environment, their
/// descendants and sessions. Never one that is older than the claim, nor the caller itself.
/// Returns an empty list under another boot.
std::vector<ProcessStat> remainsOf(const Order& order, const Claim& claim);

/// The processes of an attempt: of its cgroup, and the descendants of its shim, which
/// is their subreaper, or what a lost shim left. Without the shim itself.
/// Blocks: for a walk over /proc.
std::vector<ProcessInfo> processesOf(const Order& order, const std::optional<Claim>& claim);

/// The same by what order and claim say in `folder`. Errors: as AttemptFolder::order().
std::vector<ProcessInfo> processesOf(const std::filesystem::path& folder, const Seal& seal = {});

} // namespace agent
