#include "agent/run/RunFlow.h"

#include "agent/model/Conditions.h"
#include "agent/process/ProcessTree.h"
#include "agent/run/AttemptSync.h"

#include <algorithm>
#include <exception>

namespace agent
{

namespace
{

bool any(const std::vector<Stage>& stages, Status status)
{
    return std::any_of(stages.begin(), stages.end(),
                       [status](const Stage& stage) { return stage.status == status; });
}

bool anyBegun(const std::vector<Stage>& stages)
{
    return std::any_of(stages.begin(), stages.end(),
                       [](const Stage& stage) { return stage.attempt > 0; });
}

} // namespace

void RunFlow::advance(Batch& batch, Run& run, const std::string& actor, const std::string& reason)
{
    // A run that has not begun only changes by getting a slot, unless nothing is left to do.
    const bool begun = run.holdsSlot || (run.status != Status::Idle && !run.ended());
    auto stages = batch.runs.stages(run.id);
    const bool failed =
        run.finishing() || any(stages, Status::Failure) || (run.stopping && cutShort(run, stages));
    const auto working = std::find_if(stages.begin(), stages.end(),
                                      [](const Stage& stage) {
                                          return stage.status == Status::InProgress ||
                                                 stage.status == Status::AwaitingApproval;
                                      });
    if (working != stages.end())
        return keepOn(batch, run, *working,
                      run.finishing() || any(stages, Status::Failure) ? Status::Failure
                                                                      : working->status);

    const bool endsAll = run.stopping && run.finishing();
    const std::string why =
        run.stopping && failed && reason.empty() && !any(stages, Status::Failure) ? "stopped"
                                                                                  : reason;
    Stage* next = endsAll ? nullptr : nextOf(batch, run, stages, failed);
    if (next == nullptr)
        return _writer.endRun(batch, run, failed ? Status::Failure : Status::Success, actor, why);
    if (failed && run.status != Status::Failure)
    {
        run.stopping = false; // what it ended is gone
        _writer.setStatus(batch, run, Status::Failure, actor, why);
    }
    if (!failed && run.stopping) // too late
    {
        run.stopping = false;
        run.stopCause.reset();
    }
    if (next->retryAt)
    {
        if (*next->retryAt > nowMs())
            run.holdsSlot = run.wantsSlot = false; // others may use it during the delay
        return _writer.setStatus(batch, run, failed ? Status::Failure : Status::InProgress,
                                 agentActor, "");
    }
    if (!begun)
    {
        run.wantsSlot = true;
        return _writer.setStatus(batch, run, failed ? Status::Failure : Status::Idle, agentActor,
                                 "");
    }
    begin(batch, run, stages, *next);
}

/// Returns whether the stop of `run` keeps it from something. It does not where only stages are left that run
/// after a failure too, unless nothing began: then they don't run either.
bool RunFlow::cutShort(const Run& run, const std::vector<Stage>& stages)
try
{
    const bool begun = anyBegun(stages);
    return std::any_of(stages.begin(), stages.end(),
                       [&](const Stage& stage)
                       {
                           return !stage.ended() && !stage.done() &&
                                  (!begun ||
                                   _specs.stage(run, stage).when.run == RunsAfter::Success);
                       });
}
catch (const std::exception&)
{
    return true; // the stored pipeline can't be read, and the run must end all the same
}

/// A stage is at work, or a person.
void RunFlow::keepOn(Batch& batch, Run& run, const Stage& working, Status status)
{
    if (working.status == Status::AwaitingApproval)
        run.holdsSlot = run.wantsSlot = false;
    _writer.setStatus(batch, run, status, agentActor, "");
}

/// Returns the stage whose turn it is; null when none is left. Stages that run after a failure alone are skipped
/// where there was none.
Stage* RunFlow::nextOf(Batch& batch, const Run& run, std::vector<Stage>& stages, bool failed)
try
{
    if (failed && !anyBegun(stages))
        return nullptr; // nothing began: there is nothing to clean up
    for (Stage& stage : stages)
    {
        if (stage.done() || stage.ended())
            continue;
        const RunsAfter after = _specs.stage(run, stage).when.run;
        if (failed && (after == RunsAfter::Success || _approvals.required(run, stage)))
            continue; // nobody shall have to wait for it
        if (failed || after != RunsAfter::Failure)
            return &stage;
        stage.skipped = noFailure;
        batch.runs.update(stage);
        _writer.stageChanged(batch, stage, Status::Idle, agentActor, noFailure);
    }
    return nullptr;
}
catch (const std::exception&)
{
    if (!failed)
        throw;
    return nullptr; // the stored pipeline can't be read, and the run must end all the same
}

/// Starts `next`, whose turn it is, or makes the run wait for what it needs.
void RunFlow::begin(Batch& batch, Run& run, std::vector<Stage>& stages, Stage& next)
{
    const Status going = run.finishing() ? Status::Failure : Status::InProgress;
    if (!run.startedAt)
        run.begin(nowMs(), bootTime());
    if (_approvals.required(run, next))
    {
        _approvals.request(batch, run, next);
        run.holdsSlot = run.wantsSlot = false;
        return _writer.setStatus(batch, run, Status::AwaitingApproval, agentActor, "");
    }
    if (_specs.external(next))
    {
        run.holdsSlot = run.wantsSlot = false; // until it is patched
        return _writer.setStatus(batch, run, going, agentActor, "");
    }
    if (!run.holdsSlot || _disk.low(batch))
    {
        run.holdsSlot = false;
        run.wantsSlot = true;
        return _writer.setStatus(batch, run, going, agentActor, "");
    }
    if (workspaceLost(stages))
    {
        const Transition end = transition(_specs.state(next), StageEvent::Abandon);
        _writer.endStage(batch, next, end.to, Cause::HostReboot, agentActor,
                         "the host went down before the files of an earlier stage were on disk, "
                         "so some may be lost: rerun the run");
        return advance(batch, run); // the others that are left end in the same way
    }
    _starter.start(batch, run, next, stages, StageEvent::Due, agentActor, "");
    _writer.setStatus(batch, run, going, agentActor, "");
}

void RunFlow::abandon(Batch& batch, const std::string& runId, const std::string& why)
{
    auto run = batch.runs.run(runId);
    if (!run || run->ended())
        return;
    auto stages = batch.runs.stages(runId);
    // Of one that has failed, only what is at work: the others are left as they are.
    const auto found = std::find_if(stages.begin(), stages.end(),
                                    [&](const Stage& stage)
                                    {
                                        return !stage.ended() && !stage.done() &&
                                               (!run->finishing() || stage.status != Status::Idle ||
                                                stage.retryAt);
                                    });
    if (found != stages.end())
    {
        const Transition next = transition(_specs.state(*found), StageEvent::Abandon);
        _writer.endStage(batch, *found, next.to, Cause::PluginError, agentActor, why);
    }
    _writer.endRun(batch, *run, Status::Failure, agentActor, why);
}

} // namespace agent
