#include "agent/run/Recovery.h"

namespace agent
{

void Recovery::recover(Batch& batch)
{
    const auto runs = batch.runs.openRuns();
    for (const auto& open : runs)
        batch.queue.set(open.seq, QueuedRun::of(open));
    for (const auto& open : runs)
    {
        if (open.status == Status::Idle && open.wantsSlot)
            continue; // it waits for a slot and has nothing to recover
        const auto error = batch.attempt(
            [&]
            {
                auto run = batch.runs.run(open.id);
                for (auto& stage : batch.runs.stages(run->id))
                    recoverStage(batch, *run, stage);
                // A run that had just ended a stage, or was given a slot, goes on from there.
                _flow.advance(batch, *run);
            });
        if (error)
            _flow.abandon(batch, open.id, textOf(error));
    }
}

void Recovery::recoverStage(Batch& batch, Run& run, Stage& stage)
{
    if (stage.status == Status::Idle && stage.retryAt)
        return _retries.resume(batch, run, stage);
    if (stage.status != Status::InProgress)
        return;
    if (_specs.external(stage))
        return _externalStages.watch(batch, run, stage);

    const bool stopping = stage.intent != Intent::None;
    if (_runner.resume(stage.id, stage.attempt, _state.attempt(stage, stage.attempt),
                       _specs.graceMs(run, stage), stopping))
        return _stuckWatch.watch(batch, run, stage);
    // Nothing of it was executed: the daemon died between its commit and the launch.
    if (stopping)
        batch.afterCommit.push_back(
            [this, id = stage.id, attempt = stage.attempt]
            { _runner.refuse(id, attempt, Cause::Stopped, "stopped before it began"); });
    else
        _starter.launch(batch, run, stage);
}

} // namespace agent
