#pragma once

#include "agent/run/Queue.h"
#include "agent/run/StageCounts.h"
#include "agent/run/Timers.h"
#include "agent/store/History.h"
#include "agent/store/RunStore.h"

#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace agent
{

/// One transaction of the engine, and what commands work on: the record and the queue as the transaction
/// sees them, and the effects that follow its commit. What is rolled back takes its effects and its
/// changes of the queue back with it.
struct Batch
{
    Batch(RecordSession& writer, Queue& inMemory)
        : connection(writer), queue(inMemory), runs(writer), history(writer)
    {
    }

    /// Runs `part` within a savepoint. Returns what it threw, after rolling back its changes and effects
    /// and no others; null when it succeeded.
    /// Errors: those of the record itself (disk full, I/O) are thrown on: the whole batch fails then.
    std::exception_ptr attempt(const std::function<void()>& part);

    /// Writes a run to the record and the queue. All runs are written through these.
    void insert(Run& run);
    void update(Run& run, bool sameStatus = false);
    void remove(const Run& run);

    /// Whether the run is new in this batch: not on disk before its commit.
    [[nodiscard]] bool isNew(const std::string& runId) const { return _inserted.contains(runId); }

    /// `undo` takes back a change in memory, should the part or the whole batch be rolled back.
    void onRollback(std::function<void()> undo) { _undo.push_back(std::move(undo)); }

    /// Takes back all changes in memory: the transaction was rolled back.
    void rollBack() { undoTo(0); }

    RecordSession& connection;
    Queue& queue;
    RunStore runs;
    History history;

    // Effects, in the order in which the engine carries them out.
    std::vector<std::function<void()>> launches;
    std::vector<EndedStage> endedStages; ///< to be counted
    std::uint64_t stuckStages = 0;       ///< newly reported as stuck
    std::set<std::string> changedRuns;
    bool reported = false;        ///< there are new reports for targets
    std::vector<std::string> log; ///< errors of the agent, one line each
    std::vector<std::function<void()>> afterCommit;

    std::optional<TimeMs> runEndedAt;   ///< the earliest end of a run in this batch
    std::optional<TimeMs> stageEndedAt; ///< and of a stage
    bool artifactsKept = false;         ///< there are new ones in the store
    std::set<TimerKind> retentionDue;   ///< what retention is to look at, last in the batch
    std::size_t waiting = 0;            ///< answers of this batch that wait for processes to end
    std::optional<bool> diskLow;        ///< checked once, so that a batch sees one value

private:
    void enqueue(std::int64_t seq, const std::optional<QueuedRun>& run);
    void undoTo(std::size_t size);

    std::set<std::string> _inserted;          ///< runs, rolled back ones too
    std::vector<std::function<void()>> _undo; ///< carried out from the last to the first
};

/// Returns the text of an error for people.
std::string textOf(const std::exception_ptr& error);

} // namespace agent
