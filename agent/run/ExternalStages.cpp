#include "agent/run/ExternalStages.h"

#include <algorithm>

namespace agent
{

void ExternalStages::watch(Batch& batch, const Run& run, const Stage& stage)
{
    const std::int64_t timeout = _specs.timeoutMs(run, stage);
    if (timeout == 0)
        return;
    // Never longer than when it began: the clock may have been set back since.
    const std::int64_t left =
        std::clamp<std::int64_t>(*stage.startedAt + timeout - nowMs(), 0, timeout);
    batch.afterCommit.push_back(
        [this, left, id = stage.id, attempt = stage.attempt] {
            _timers.set({.kind = TimerKind::ExternalTimeout, .stageId = id, .attempt = attempt},
                        left);
        });
}

bool ExternalStages::timedOut(Batch& batch, const Run& run, Stage& stage)
{
    const Transition next = transition(_specs.state(stage), StageEvent::TimedOut);
    if (next.effect != Effect::RecordEnd)
        return false;
    const TimeMs limit = *stage.startedAt + _specs.timeoutMs(run, stage);
    if (stage.startedCorrected && nowMs() < limit)
    {
        watch(batch, run, stage);
        return false;
    }
    // The timer is right even where the wall clock was set meanwhile.
    stage.endedAt = limit;
    _writer.endStage(batch, stage, next.to, Cause::Timeout, agentActor,
                     "no end was reported within its timeout");
    return true;
}

} // namespace agent
