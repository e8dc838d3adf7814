#include "agent/run/RunFlow.h"

#include "agent/process/ProcessTree.h"
#include "agent/run/AttemptSync.h"

namespace agent
{

void RunFlow::advance(Batch& batch, Run& run)
{
    // A run that has not begun only changes by getting a slot, unless nothing is left to do.
    const bool begun = run.holdsSlot || (run.status != Status::Idle && !run.ended());
    auto stages = batch.runs.stages(run.id);
    for (auto& stage : stages)
    {
        switch (stage.status)
        {
        case Status::Success:
            continue;
        case Status::Failure:
            return _writer.endRun(batch, run, Status::Failure, agentActor, "");
        case Status::InProgress:
            return _writer.setStatus(batch, run, Status::InProgress, agentActor, "");
        case Status::AwaitingApproval:
            run.holdsSlot = run.wantsSlot = false;
            return _writer.setStatus(batch, run, Status::AwaitingApproval, agentActor, "");
        case Status::Idle:
            break;
        }
        if (run.stopping)
            return _writer.endRun(batch, run, Status::Failure, agentActor, "stopped");
        if (stage.retryAt && *stage.retryAt > nowMs())
            run.holdsSlot = run.wantsSlot = false; // others may use it during the delay
        if (stage.retryAt)
            return _writer.setStatus(batch, run, Status::InProgress, agentActor, "");
        if (!begun)
        {
            run.wantsSlot = true;
            return _writer.setStatus(batch, run, Status::Idle, agentActor, "");
        }
        if (!run.startedAt)
            run.begin(nowMs(), bootTime());
        if (_approvals.required(run, stage))
        {
            _approvals.request(batch, stage);
            run.holdsSlot = run.wantsSlot = false;
            return _writer.setStatus(batch, run, Status::AwaitingApproval, agentActor, "");
        }
        if (_specs.external(stage))
        {
            run.holdsSlot = run.wantsSlot = false; // until it is patched
            return _writer.setStatus(batch, run, Status::InProgress, agentActor, "");
        }
        if (!run.holdsSlot || _disk.low(batch))
        {
            run.holdsSlot = false;
            run.wantsSlot = true;
            return _writer.setStatus(batch, run, Status::InProgress, agentActor, "");
        }
        if (workspaceLost(stages))
        {
            const Transition next = transition(_specs.state(stage), StageEvent::Abandon);
            _writer.endStage(
                batch, stage, next.to, Cause::HostReboot, agentActor,
                "the host went down before the files of an earlier stage were on disk, "
                "so some may be lost: rerun the run");
            return _writer.endRun(batch, run, Status::Failure, agentActor, "");
        }
        _starter.start(batch, run, stage, StageEvent::Due, agentActor, "");
        return _writer.setStatus(batch, run, Status::InProgress, agentActor, "");
    }
    _writer.endRun(batch, run, Status::Success, agentActor, "");
}

void RunFlow::abandon(Batch& batch, const std::string& runId, const std::string& why)
{
    auto run = batch.runs.run(runId);
    if (!run || run->ended())
        return;
    for (auto& stage : batch.runs.stages(runId))
        if (!stage.ended())
        {
            const Transition next = transition(_specs.state(stage), StageEvent::Abandon);
            _writer.endStage(batch, stage, next.to, Cause::PluginError, agentActor, why);
            break;
        }
    _writer.endRun(batch, *run, Status::Failure, agentActor, why);
}

} // namespace agent
