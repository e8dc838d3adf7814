#pragma once

#include "agent/run/Batch.h"
#include "agent/run/Janitor.h"
#include "agent/run/StateFolder.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace agent
{

/// How long what is over stays; 0: for ever.
struct RetentionPolicy
{
    std::int64_t runsMs = 0;      ///< an ended run with all that belongs to it
    std::int64_t runsCount = 0;   ///< so many ended runs; of more the longest ended go
    std::int64_t workspaceMs = 0; ///< the workspace of an ended run
    std::int64_t plainLogsMs = 0; ///< logs of an ended stage as plain text; then compressed
};

/// Removes and compresses what is over, when its time has come. Says what; the janitor does it.
/// Goes by the record and by where it has come to in it since the start: what is found done is fine.
/// Threads: the engine's.
class Retention
{
public:
    Retention(const RetentionPolicy& policy, const StateFolder& state, Janitor& janitor)
        : _policy(policy), _state(state), _janitor(janitor)
    {
    }

    /// Does a little of what is due, so that the batch is not held up. Must come last in it: a run that is
    /// tried again in the same batch keeps its workspace.
    /// Shape: in how many milliseconds there is more; nothing: not before something has ended.
    std::optional<std::int64_t> apply(Batch& batch);

    /// Removes a run from the record, and after the commit its folder. Its history becomes one entry that
    /// tells who removed it.
    void remove(Batch& batch, const Run& run, const std::string& actor, const std::string& reason);

private:
    using Clock = std::chrono::steady_clock;

    /// The wall clock, unless it leapt forth while we run: then as if it had not, for a day. Somebody
    /// who sets a clock wrong must not lose every run by it. A clock that is wrong at our start is
    /// believed: nothing tells it from a host that was off for long.
    TimeMs believedNow();
    static TimeMs wallAhead();

    std::optional<std::int64_t> removeRuns(Batch& batch, TimeMs now);
    std::optional<std::int64_t> removeWorkspaces(Batch& batch, TimeMs now);
    std::optional<std::int64_t> compressLogs(Batch& batch, TimeMs now);

    const RetentionPolicy& _policy;
    const StateFolder& _state;
    Janitor& _janitor;
    TimeMs _clockAhead = wallAhead(); ///< of the monotonic clock, as we believe it
    std::optional<Clock::time_point> _doubtedSince;
    EndedPlace _workspaces; ///< up to here they are gone
    EndedPlace _logs;       ///< up to here they are compressed, or the janitor knows
};

} // namespace agent
