#pragma once

#include "agent/model/Timestamp.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace agent
{

enum class StageType
{
    Prepare,
    CodeQuality,
    UnitTest,
    Build,
    IntegrationTest,
    DeployStaging,
    DeployProd,
    Other
};

inline constexpr std::array allStageTypes{
    StageType::Prepare,         StageType::CodeQuality,   StageType::UnitTest,   StageType::Build,
    StageType::IntegrationTest, StageType::DeployStaging, StageType::DeployProd, StageType::Other};

/// Where a stage or a run stands. The API knows these five and no other.
enum class Status
{
    Idle,
    InProgress,
    AwaitingApproval,
    Success,
    Failure
};

/// Why a stage ended as it did. The user's own failure (Exit, Signal, Timeout, Silent) is never mixed
/// up with ours (PluginMissing … HostReboot) nor with a decision (Stopped, Rejected, Operator, Skipped).
enum class Cause
{
    Exit,          ///< the command ended by itself; exitCode says how
    Signal,        ///< the command was ended by a signal that we did not send
    External,      ///< an `external` stage was patched to its end
    Timeout,       ///< ran past its `timeout`
    Silent,        ///< printed nothing for its `silence`
    Stopped,       ///< the run was stopped
    Rejected,      ///< the approval was refused
    Operator,      ///< an operator ended it, or accepted its failure
    Skipped,       ///< an operator skipped it
    Oom,           ///< the kernel killed it for memory
    DiskFull,      ///< its log or files could not be written
    LogLimit,      ///< never an end: only noted, the log was cut
    PluginMissing, ///< its plugin is not (or no longer) there
    PluginError,   ///< the plugin itself broke: crash, bad outputs, missing secret
    SpawnError,    ///< the command could not be started
    ShimLost,      ///< its shim died before it wrote an outcome
    HostReboot     ///< the host restarted under it
};

/// What was decided about a running stage before its processes are gone; committed before the first
/// signal, so that a restart of the daemon carries it through.
enum class Intent
{
    None,
    Stop,    ///< the run is being stopped: FAILURE, cause STOPPED
    Succeed, ///< an operator ends it as SUCCESS, cause OPERATOR
    Fail     ///< an operator ends it as FAILURE, cause OPERATOR
};

/// Whether the files of an attempt would survive a power cut. Kept as its number.
enum class Sync
{
    None = -1,   ///< not known: nothing was launched, or by a release whose shim synced them itself
    Pending = 0, ///< they may still be in memory only
    OnDisk = 1,
    Lost = 2 ///< the power was cut before they were on disk
};

std::string_view toString(StageType type);
std::string_view toString(Status status);
std::string_view toString(Cause cause);
std::string_view toString(Intent intent); ///< empty for None
std::optional<StageType> stageTypeFrom(std::string_view text);
std::optional<Status> statusFrom(std::string_view text);
std::optional<Cause> causeFrom(std::string_view text);
Intent intentFrom(std::string_view text); ///< None for all else

/// What a stage's processes used, as far as it could be measured.
struct Usage
{
    std::optional<std::int64_t> cpuMs;
    std::optional<std::int64_t> maxRssBytes;
    std::optional<std::int64_t> readBytes;
    std::optional<std::int64_t> writeBytes;
};

/// A stage as the record keeps it. The API's nine keys are a part of this.
struct Stage
{
    std::string id;
    std::string runId;
    int ordinal = 0; ///< its place in the run's pipeline, from 0
    StageType type = StageType::Other;
    std::string name;   ///< the type's name unless the service gives one
    std::string plugin; ///< the plugin's name
    Status status = Status::Idle;
    int attempt = 0; ///< 0 until it first started
    TimeMs createdAt = 0;
    TimeMs updatedAt = 0;
    std::optional<TimeMs> startedAt;
    std::optional<TimeMs> endedAt;
    std::optional<Cause> cause;
    std::optional<int> exitCode;
    std::optional<int> signal;
    std::string message;       ///< one line for a person; empty when there is nothing to say
    std::string containment;   ///< "cgroup" or "subreaper"; empty before it first started
    std::string limitsMissing; ///< what its limits ask for and nothing holds: "memory,cpu"
    std::string notes;         ///< causes that are no end, comma-separated: LOG_LIMIT
    std::int64_t logBytes = 0;
    Usage usage;
    std::string bootId; ///< the host's boot in which the attempt was launched; empty before
    Sync synced = Sync::None;
    std::string outputs;   ///< JSON object of strings given to later stages; empty when none
    bool approved = false; ///< its approval was given (a new attempt does not ask again)
    bool startedCorrected =
        false; ///< startedAt was set by hand: the shim's own time does not replace it
    Intent intent = Intent::None;
    std::string intentActor;
    std::string intentReason;
    std::optional<TimeMs> intentStartedAt; ///< times that came with the intent
    std::optional<TimeMs> intentEndedAt;
    std::optional<TimeMs> retryAt; ///< IDLE, and the next attempt starts then
    std::optional<TimeMs> stuckSince;
    std::string stuckWhy;     ///< for a person; empty when it is not stuck
    std::int64_t version = 1; ///< grows with every stored change; the ETag

    [[nodiscard]] std::optional<std::int64_t> durationMs() const
    {
        return startedAt && endedAt ? std::optional(*endedAt - *startedAt) : std::nullopt;
    }

    [[nodiscard]] bool ended() const
    {
        return status == Status::Success || status == Status::Failure;
    }

    /// As if it had never started; attempt, approval and outputs of other stages stay.
    void clearEnd();
    void clearIntent();
    void clearStuck();
};

/// One line of what happened to a stage or run; never rewritten.
struct HistoryEntry
{
    TimeMs at = 0;
    std::string runId;
    std::string stageId; ///< empty for the run's own changes
    std::string actor;   ///< who: a token's name, or "agent"
    std::string from;
    std::string to;
    std::optional<Cause> cause;
    std::string reason;
    int attempt = 0;
    std::int64_t seq = 0; ///< its place among all entries; given by the record
};

} // namespace agent
