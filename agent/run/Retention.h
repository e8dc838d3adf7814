#pragma once

#include "agent/run/Batch.h"
#include "agent/run/CleanupWorker.h"
#include "agent/run/StateFolder.h"
#include "agent/run/Timers.h"
#include "agent/store/EndedRuns.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>

namespace agent
{

class ArtifactSets;
class Caches;
class Workspaces;
struct ArtifactSet;

/// How long things are kept after their end; 0: for ever.
struct RetentionPolicy
{
    std::int64_t runsMs = 0; ///< an ended run with all that belongs to it
    std::int64_t runsCount =
        0; ///< so many ended runs; beyond it those that ended first are removed
    std::int64_t workspaceMs = 0; ///< the workspace of an ended run
    std::int64_t artifactsMs = 0; ///< what a stage has kept, where it does not say how long
    std::int64_t plainLogsMs =
        0; ///< logs of an ended stage as plain text; then they are compressed
};

/// Removes runs and workspaces and has logs compressed when they have reached their age. Decides; the
/// cleanup worker does the work on disk.
/// Rows are only read when one of them is due: timers say when, the record keeps the count of ended runs
/// (EndedRuns::count), and the place up to which the work was done is kept in memory. It begins
/// anew at each start: finding something done already does no harm.
/// Threads: the engine's.
class Retention
{
public:
    Retention(const RetentionPolicy& policy, const StateFolder& state, CleanupWorker& cleanup,
              Timers& timers, const Caches& caches, Workspaces& kept)
        : _policy(policy),
          _state(state),
          _cleanup(cleanup),
          _timers(timers),
          _caches(caches),
          _kept(kept)
    {
    }

    /// All timers of retention.
    static const std::set<TimerKind> kinds;

    /// Looks at the clock of the start; before this start has changed anything on record.
    void begin(Batch& batch);

    /// Does a part of batch.retentionDue, small enough not to hold up the batch, and sets the timers of the
    /// rest and of what ended in the batch. Comes last in it: a run that is tried again in the same batch
    /// keeps its workspace.
    void apply(Batch& batch);

    /// Removes a run from the record, and after the commit its folder. Its history becomes one entry that
    /// says who removed it.
    void remove(Batch& batch, const Run& run, const std::string& actor, const std::string& reason);

    /// Removes the next workspaces of ended runs before their time, then artifacts past half of it, unless the last ones are still being removed. `why` is told
    /// with each. Returns whether there is something to remove, or to wait for.
    bool makeRoom(Batch& batch, const std::string& why);

private:
    using Clock = std::chrono::steady_clock;

    /// Returns the wall clock. Where it jumped forward, the jump is ignored for a day, and for as long as the
    /// kernel calls the clock unsynchronised: a clock that was set wrong must not remove every run. A jump is
    /// also what lies between the last change on record and the start, if it is more than a day, or the
    /// clock is not synchronised: a host that was off for long looks alike, and loses nothing by the wait.
    TimeMs believedNow();
    static TimeMs wallAhead();

    void noteEnds(Batch& batch);
    void setUnlessPending(Batch& batch, TimerKind kind, std::int64_t delayMs);
    [[nodiscard]] std::int64_t tooManyRuns(Batch& batch) const;

    // Each returns the milliseconds until it has more to do; nothing: not before something ends.
    std::optional<std::int64_t> removeRuns(Batch& batch, TimeMs now);
    std::optional<std::int64_t> removeWorkspaces(Batch& batch, TimeMs now);
    std::optional<std::int64_t> compressLogs(Batch& batch, TimeMs now);
    std::optional<std::int64_t> removeArtifacts(Batch& batch, TimeMs now);

    bool removeHalfOldArtifacts(Batch& batch, const std::string& why);
    void removeSet(Batch& batch, ArtifactSets& sets, const ArtifactSet& set,
                   const std::string& why);

    const RetentionPolicy& _policy;
    const StateFolder& _state;
    CleanupWorker& _cleanup;
    Timers& _timers;
    const Caches& _caches;
    Workspaces& _kept;
    TimeMs _clockAhead = wallAhead(); ///< of the monotonic clock, as believed
    std::optional<Clock::time_point> _doubtedSince;
    EndedPlace _workspaces; ///< up to here they are gone
    EndedPlace _logs;       ///< up to here they are compressed, or the cleanup worker knows
};

} // namespace agent
