#pragma once

#include "agent/model/Declined.h"
#include "agent/model/Stage.h"
#include "agent/run/Batch.h"
#include "agent/run/StageRunner.h"

#include <exception>
#include <functional>
#include <map>
#include <string>

namespace agent
{

/// The end of an attempt, on record.
struct RecordedEnd
{
    Stage stage;
    bool decided = false; ///< by a stop or an operator; else the stage ended by itself
};

/// The callers that are answered when all processes of a stage are gone. Threads: the engine's.
class EndWaiters
{
public:
    /// Called once: with the end, or with an error in its place.
    using Waiter = std::function<void(const RecordedEnd* end, const std::exception_ptr& error)>;

    explicit EndWaiters(const StageRunner& runner) : _runner(runner) {}

    /// Adds a waiter for the end of a stage after the commit; it is called at once, with
    /// `processes_remain`, where the stage is known to be unkillable.
    /// Errors: Declined `too_many_waiting`: each one holds a thread of the HTTP server.
    void add(Batch& batch, const std::string& stageId, Waiter waiter);

    /// The end of a stage is on record.
    void ended(const RecordedEnd& end) { call(end.stage.id, &end, nullptr); }

    /// A stage can't be killed: its waiters get `processes_remain`.
    void unkillable(const UnkillableStage& stage);

    /// The engine stops.
    void refuseAll(const std::exception_ptr& error);

    /// The error of a request that waits for the end of such a stage.
    static Declined processesRemain(const UnkillableStage& stage);

private:
    void call(const std::string& stageId, const RecordedEnd* end, const std::exception_ptr& error);

    const StageRunner& _runner;
    std::multimap<std::string, Waiter> _waiters; ///< by stage id
};

} // namespace agent
