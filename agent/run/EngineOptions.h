#pragma once

#include "agent/model/Stage.h"
#include "agent/run/CacheWorker.h"
#include "agent/run/DiskSpace.h"
#include "agent/run/OrderBuilder.h"
#include "agent/run/Reports.h"
#include "agent/run/Retention.h"

#include <cstdint>
#include <map>
#include <optional>

namespace agent
{

/// How the engine is set up; from the configuration.
struct EngineOptions
{
    int slots = 1;
    std::optional<std::int64_t> queueMax; ///< runs that may wait for a slot; absent: no limit
    DiskLimits disk;
    std::int64_t stuckAfterMs = 0; ///< a stage without output for so long is stuck; 0: never
    std::map<StageType, std::int64_t> stuckAfterByType; ///< where a type has its own
    RetentionPolicy retention;
    OrderDefaults orders;
    ReportOptions reports = {};
    CacheWorker* caches = nullptr; ///< null: nothing is cached
};

} // namespace agent
