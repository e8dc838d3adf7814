#pragma once

#include "agent/model/Stage.h"
#include "agent/model/Token.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace agent
{

/// The versions that a change is meant for (If-Match); empty: none matches.
using Versions = std::vector<std::int64_t>;

/// What a PATCH of a stage asks for.
struct StagePatch
{
    std::optional<Status> status;
    std::optional<TimeMs> startedAt;
    std::optional<TimeMs> endedAt;
    std::optional<std::int64_t> durationSeconds; ///< must follow from the times
    std::string reason;
    std::optional<Versions> ifVersion;
    std::string actor;
    Role role = Role::Operate; ///< the actor's
};

} // namespace agent
