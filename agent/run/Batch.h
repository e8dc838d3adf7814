#pragma once

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

/// One transaction of the engine, and what commands work on: the record as the transaction sees it, and
/// the effects that follow its commit. An effect of a part that is rolled back is dropped with it; a
/// batch that can't be committed has none.
struct Batch
{
    explicit Batch(RecordSession& writer) : connection(writer), runs(writer), history(writer) {}

    /// Runs `part` within a savepoint. Returns what it threw, after rolling back its changes and effects
    /// and no others; null when it succeeded.
    /// Errors: those of the record itself (disk full, I/O) are thrown on: the whole batch fails then.
    std::exception_ptr attempt(const std::function<void()>& part);

    RecordSession& connection;
    RunStore runs;
    History history;

    // Effects, in the order in which the engine carries them out.
    std::vector<std::pair<Status, Cause>> endedStages; ///< to be counted
    std::uint64_t stuckStages = 0;                     ///< newly reported as stuck
    std::set<std::string> changedRuns;
    std::vector<std::string> log; ///< errors of the agent, one line each
    std::vector<std::function<void()>> afterCommit;

    bool ended = false;          ///< a run or stage ended: retention has something to look at
    std::size_t waiting = 0;     ///< answers of this batch that wait for processes to end
    std::optional<bool> diskLow; ///< checked once, so that a batch sees one value
};

/// Returns the text of an error for people.
std::string textOf(const std::exception_ptr& error);

} // namespace agent
