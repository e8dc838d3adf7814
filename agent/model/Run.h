#pragma once

#include "agent/model/Labels.h"
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

/// The time since the host's boot, its sleep included, and which boot that was.
struct BootTime
{
    std::string bootId;
    std::int64_t ms = 0;
};

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
    Labels labels;
    std::int64_t priority = 0;      ///< higher starts first
    std::string pipeline;           ///< PipelineSpec as JSON, fixed at submit
    bool resumed = false;           ///< retried: first in the queue
    bool holdsSlot = false;         ///< counts against executor.slots
    bool wantsSlot = false;         ///< is in the queue
    bool stopping = false;          ///< a stop was committed, and what it ends is not gone yet
    std::optional<Cause> stopCause; ///< it was stopped: STOPPED or SUPERSEDED
    bool kept = false;              ///< by hand: it does not age, nor do its artifacts
    std::int64_t version = 1;

    /// When it began by CLOCK_BOOTTIME of this boot, in ms. Empty: not begun, or recorded by an earlier release.
    std::string beganBootId;
    std::int64_t beganBootMs = 0;

    /// Takes `now` as its start.
    void begin(TimeMs now, const BootTime& clock);

    /// Returns when it ends that ends now: as long after its start as has passed, whatever the wall clock did meanwhile. Over
    /// a reboot only the wall clock tells; a run never ends before its start.
    [[nodiscard]] TimeMs endOf(TimeMs now, const BootTime& clock) const;

    /// Whether nothing of it runs any more, or will.
    [[nodiscard]] bool ended() const { return endedAt.has_value(); }

    /// Whether it has failed, and stages that run all the same are not done yet: docs/conditions.md.
    [[nodiscard]] bool finishing() const { return status == Status::Failure && !ended(); }
};

} // namespace agent
