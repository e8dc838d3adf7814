#pragma once

#include "agent/model/Timestamp.h"

#include <cstdint>
#include <optional>
#include <string>

namespace agent
{

/// The kept files of one attempt, as long as they are in the store: docs/artifacts.md.
struct ArtifactSet
{
    std::string stageId;
    int attempt = 0;
    std::string runId;
    std::string serviceId; ///< whose they are for other services; empty: they are for none
    std::string branch;    ///< that they are proved to be of; empty where there is no service
    std::string name;
    std::int64_t bytes = 0;
    TimeMs createdAt = 0;
    std::optional<TimeMs> expiresAt; ///< none: with its run
};

} // namespace agent
