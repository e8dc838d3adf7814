#pragma once

#include "agent/run/StageCounts.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace agent
{

/// A slot that can't be used: the stage in it was to end and its processes can't be killed.
struct BlockedSlot
{
    std::string stageId;
    std::string runId;
    std::string processes; ///< as in UnkillableStage
    TimeMs since = 0;
};

/// The state of the engine after its last transaction.
struct EngineStatus
{
    int slots = 0;
    int running = 0; ///< runs that hold a slot
    int queued = 0;  ///< runs that wait for one
    std::vector<BlockedSlot> blockedSlots;
    bool draining = false;
    bool diskLow = false;
    std::string diskLack; ///< as DiskSpace::lack()
    std::int64_t freeBytes = 0;
    std::optional<std::int64_t> freeInodes; ///< none: not counted
    bool alive = false;                     ///< the last transaction succeeded
    bool cgroup = false;
    std::uint64_t stuck = 0; ///< times that a stage was found to be stuck since the daemon started
    std::shared_ptr<const StageCounts> counts = std::make_shared<const StageCounts>();
};

} // namespace agent
