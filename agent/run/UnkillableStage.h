#pragma once

#include "agent/model/Stage.h"
#include "agent/process/ProcessTree.h"
#include "agent/run/StateFolder.h"

#include <optional>
#include <string>
#include <vector>

namespace agent
{

/// An attempt that was to end and can't: its processes survive KILL.
struct UnkillableStage
{
    std::string stageId;
    int attempt = 0;
    std::string processes; ///< which, and what the kernel does with them: one line for people
    TimeMs since = 0;
    std::optional<Cause> ending; ///< why its shim ends it, where known
};

/// Returns what `stage` runs right now; empty when nothing of it does. Walks over /proc.
/// Threads: any.
std::vector<ProcessInfo> processesOf(const StateFolder& state, const Stage& stage);

/// Returns the living processes of an attempt.
std::vector<ProcessInfo> livingOf(const Order& order, const std::optional<Claim>& claim);

/// Whether there are some, each got KILL and the kernel holds it.
bool heldByKernel(const std::vector<ProcessInfo>& processes);

/// Returns `2 processes can't be ended: 4711 (cp) is in state D in nfs_wait, 4712 (sh) is in state D`.
std::string describeUnkillable(const std::vector<ProcessInfo>& processes);

} // namespace agent
