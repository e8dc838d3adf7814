// What the engine does with each open run when it starts. Source: design, "At start (Recovery)".
#include "agent/run/RunFlow.h"

#include <algorithm>

namespace agent
{

void RunFlow::recover(Batch& batch)
{
    for (const auto& open : batch.runs.openRuns())
    {
        const auto error = batch.attempt(
            [&]
            {
                auto run = batch.runs.run(open.id);
                for (auto& stage : batch.runs.stages(run->id))
                    recoverStage(batch, *run, stage);
                // A run that had just ended a stage, or was given a slot, goes on from there.
                advance(batch, *run);
            });
        if (error)
            abandon(batch, open.id, textOf(error));
    }
}

void RunFlow::recoverStage(Batch& batch, Run& run, Stage& stage)
{
    if (stage.status == Status::Idle && stage.retryAt)
    {
        // At most the whole delay: the clock may have been set back.
        const std::int64_t left =
            std::clamp<std::int64_t>(*stage.retryAt - nowMs(), 0, specOf(run, stage).retry.delayMs);
        batch.afterCommit.push_back([this, left, id = stage.id, attempt = stage.attempt]
                                    { _hooks.timer(left, id, attempt); });
        return;
    }
    if (stage.status != Status::InProgress)
        return;
    if (external(stage))
        return armTimeout(batch, run, stage);

    const bool stopping = stage.intent != Intent::None;
    if (_executions.resume(stage.id, stage.attempt, _state.attempt(stage, stage.attempt),
                           graceMs(run, stage), stopping))
        return watchForStuck(batch, run, stage);
    // Nothing of it was executed: the daemon died between its commit and the launch.
    if (stopping)
        batch.afterCommit.push_back(
            [this, id = stage.id, attempt = stage.attempt]
            { _executions.refuse(id, attempt, Cause::Stopped, "stopped before it began"); });
    else
        launch(batch, run, stage);
}

} // namespace agent
