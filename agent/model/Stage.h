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

/// The status of a stage or run, as in the API.
enum class Status
{
    Idle,
    InProgress,
    AwaitingApproval,
    Success,
    Failure
};

/// Why a stage ended. Failures of the user's command (Exit, Signal, Timeout, Silent) are distinct from the agent's
/// (PluginMissing … HostReboot) and from decisions (Stopped, Rejected, Operator, Skipped).
enum class Cause
{
    Exit,              ///< the command exited, with exitCode
    Signal,            ///< the command was killed by a signal that the agent did not send
    External,          ///< an `external` stage was patched to its end
    Timeout,           ///< exceeded its `timeout`
    Silent,            ///< no output for its `silence`
    Stopped,           ///< the run was stopped
    Superseded,        ///< a newer run took its place
    Rejected,          ///< the approval was rejected
    Expired,           ///< nobody approved it in time
    Operator,          ///< an operator ended it, or accepted its failure
    Skipped,           ///< an operator skipped it
    Oom,               ///< the kernel killed it for memory
    DiskFull,          ///< its log or files could not be written
    Artifacts,         ///< what it had to keep is missing, or could not be kept; else a note
    Needs,             ///< what it needs of another service is not there, or could not be copied
    LogLimit,          ///< only a note, never an end: the log was cut
    LogCutByPowerLoss, ///< only a note, never an end: a power cut took the end of the log
    OutcomeRefused,    ///< only a note, never an end: its outcome was not written by its shim
    LeftBehind,        ///< only a note, never an end: processes outlived its command and were ended
    ShimStopped,       ///< only a note, never an end: another process had stopped its shim
    Pipeline,          ///< the file with the run's stages is missing or wrong
    PluginMissing,     ///< its plugin does not exist (any more)
    PluginError,       ///< the plugin failed: crash, invalid outputs, missing secret
    SpawnError,        ///< the command could not be started
    ShimLost,          ///< its shim died before it wrote an outcome
    HostReboot         ///< the host rebooted
};

/// The decision to end a running stage; committed before the first signal, so that a restarted daemon completes
/// it.
enum class Intent
{
    None,
    Stop,      ///< the run is being stopped: FAILURE, cause STOPPED
    Supersede, ///< a newer run takes its place: FAILURE, cause SUPERSEDED
    Succeed,   ///< an operator ends it as SUCCESS, cause OPERATOR
    Fail       ///< an operator ends it as FAILURE, cause OPERATOR
};

/// Whether the files of an attempt would survive a power cut. Kept as its number.
enum class Sync
{
    None = -1,   ///< not known: nothing was launched, or by a release whose shim synced them itself
    Pending = 0, ///< they may still be in memory only
    OnDisk = 1,
    Lost = 2 ///< the power was cut before they were on disk
};

/// Whether a stage of this type brings something to where it is used.
constexpr bool deploys(StageType type)
{
    return type == StageType::DeployStaging || type == StageType::DeployProd;
}

std::string_view toString(StageType type);
std::string_view toString(Status status);
std::string_view toString(Cause cause);
std::string_view toString(Intent intent); ///< empty for None
std::optional<StageType> stageTypeFrom(std::string_view text);
std::optional<Status> statusFrom(std::string_view text);
std::optional<Cause> causeFrom(std::string_view text);
Intent intentFrom(std::string_view text); ///< None for any other text
Cause causeOf(Intent intent);             ///< of a stage that is ended by it; `intent` is not None

/// Resource usage of a stage's processes, as far as measured.
struct Usage
{
    std::optional<std::int64_t> cpuMs;
    std::optional<std::int64_t> maxRssBytes;
    std::optional<std::int64_t> readBytes;
    std::optional<std::int64_t> writeBytes;
};

/// A stage as recorded; includes the API's nine keys.
struct Stage
{
    std::string id;
    std::string runId;
    int ordinal = 0; ///< index in the run's pipeline
    StageType type = StageType::Other;
    std::string name;   ///< default: the type's name
    std::string plugin; ///< the plugin's name
    Status status = Status::Idle;
    int attempt = 0; ///< 0 before the first start
    TimeMs createdAt = 0;
    TimeMs updatedAt = 0;
    std::optional<TimeMs> startedAt;
    std::optional<TimeMs> endedAt;
    std::optional<Cause> cause;
    std::optional<int> exitCode;
    std::optional<int> signal;
    std::string message;     ///< one line for display; may be empty
    std::string containment; ///< "cgroup" or "subreaper"; empty before the first start
    std::string
        isolation; ///< "sandbox" or "none"; empty before the first start, and by a release before
    std::string network;       ///< "host" or "none"; empty as isolation
    std::string limitsMissing; ///< requested limits that are not enforced: "memory,cpu"
    std::string notes;         ///< causes that did not end it, comma-separated: LOG_LIMIT
    std::int64_t logBytes = 0;
    Usage usage;
    std::string pluginSha256;   ///< of what the attempt executes; empty before
    std::string bootId;         ///< the host's boot in which the attempt was launched; empty before
    int shimPid = 0;            ///< of its shim, once that is on record; 0: not yet, or none runs
    std::int64_t shimStart = 0; ///< when that process was started, in clock ticks since boot
    std::string sealKey;        ///< proves the attempt's files (wire/Seal.h); empty: none runs
    Sync synced = Sync::None;
    std::optional<std::int64_t> artifactFiles; ///< that were kept; none: nothing was collected
    std::optional<std::int64_t> artifactBytes;
    std::string artifactManifest; ///< SHA-256 of the attempt's artifacts.jsonl; empty: none
    std::optional<std::int64_t> testsTotal; ///< by its reports; none: there were none
    std::optional<std::int64_t> testsFailed;
    std::optional<std::int64_t> testsSkipped;
    std::string outputs;           ///< JSON object of strings for later stages; empty if none
    bool approved = false;         ///< approved (also for later attempts)
    bool startedCorrected = false; ///< startedAt was corrected: the shim's time does not replace it
    Intent intent = Intent::None;
    std::string intentActor;
    std::string intentReason;
    std::optional<TimeMs> intentStartedAt; ///< times given with the intent
    std::optional<TimeMs> intentEndedAt;
    std::optional<TimeMs> retryAt;   ///< IDLE until the next attempt starts at this time
    std::optional<TimeMs> expiresAt; ///< it awaits its approval until then
    std::string skipped; ///< why its `when` does not hold: it stays IDLE; empty: it may run
    std::optional<TimeMs> stuckSince;
    std::string stuckWhy;     ///< for display; empty if it is not stuck
    std::int64_t version = 1; ///< incremented with every stored change; the ETag

    [[nodiscard]] std::optional<std::int64_t> durationMs() const
    {
        return startedAt && endedAt ? std::optional(*endedAt - *startedAt) : std::nullopt;
    }

    [[nodiscard]] bool ended() const
    {
        return status == Status::Success || status == Status::Failure;
    }

    /// Whether those after it need not wait for it: it ended well, or never runs.
    [[nodiscard]] bool done() const
    {
        return status == Status::Success || (status == Status::Idle && !skipped.empty());
    }

    /// Resets it as if it had never started, except attempt and approval.
    void clearEnd();
    void clearIntent();
    void clearStuck();
};

/// An entry of the history of a stage or run; never changed.
struct HistoryEntry
{
    TimeMs at = 0;
    std::string runId;
    std::string stageId; ///< empty for the run's own changes
    std::string actor;   ///< a token's name, or "agent"
    std::string from;
    std::string to;
    std::optional<Cause> cause;
    std::string reason;
    int attempt = 0;
    std::int64_t seq = 0; ///< order among all entries; assigned by the record
};

} // namespace agent
