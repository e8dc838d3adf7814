#pragma once

#include "agent/model/Stage.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace agent
{

enum class TriggerType
{
    Main,
    PrOpen,
    PrSync,
    Manual
};

std::string_view toString(TriggerType type);
std::optional<TriggerType> triggerTypeFrom(std::string_view text);

/// A run as recorded: one execution of a pipeline on one commit.
struct Run
{
    std::string id;
    std::int64_t seq = 0; ///< order of creation on this host
    TimeMs createdAt = 0;
    TimeMs updatedAt = 0;
    std::optional<TimeMs> startedAt;
    std::optional<TimeMs> endedAt;
    std::string commitHash; ///< as requested, then as resolved by the git plugin; empty if none
    std::string commitMessage;
    std::string committer;
    Status status = Status::Idle;
    TriggerType trigger = TriggerType::Manual;
    std::string serviceId;   ///< empty for a run of an inline pipeline
    std::string serviceName; ///< the key for `concurrency`; empty for an inline pipeline
    std::string branch;
    std::optional<std::int64_t> pullNumber;
    std::int64_t priority = 0; ///< higher starts first
    std::string pipeline;      ///< PipelineSpec as JSON, fixed at submit
    bool resumed = false;      ///< retried: first in the queue
    bool holdsSlot = false;    ///< counts against executor.slots
    bool wantsSlot = false;    ///< is in the queue
    bool stopping = false;     ///< a stop was committed; no more of its stages start
    std::int64_t version = 1;

    [[nodiscard]] bool ended() const
    {
        return status == Status::Success || status == Status::Failure;
    }
};

} // namespace agent
