#pragma once

#include "agent/store/History.h"
#include "agent/store/RunStore.h"

#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace agent
{

/// One transaction of the engine: what was changed in it, and what is to be done once it is on disk.
/// Nothing in memory changes before: a batch that can't be committed never happened.
struct Batch
{
    explicit Batch(RecordSession& writer) : connection(writer), runs(writer), history(writer) {}

    RecordSession& connection;
    RunStore runs;
    History history;
    /// Does `part` so that what it throws undoes its own changes and no others. An error of the record
    /// itself (full disk, I/O) is thrown on: then the whole batch is undone.
    /// Shape: what it threw; null.
    std::exception_ptr attempt(const std::function<void()>& part);

    std::set<std::string> changedRuns;
    bool ended = false; ///< a run or stage did: the housekeeping has something to look at
    std::vector<std::function<void()>> counted; ///< once it is on disk, before anyone hears of it
    std::vector<std::function<void()>> afterCommit;
    std::size_t waiting = 0;     ///< answers of this batch that wait for processes to end
    std::optional<bool> diskLow; ///< looked at once, so that a batch sees one disk
};

/// What went wrong, for a person.
std::string textOf(const std::exception_ptr& error);

} // namespace agent
