#include "agent/run/EngineParts.h"

namespace agent
{

void EngineParts::due(Batch& batch, const Timer& timer)
{
    if (Retention::kinds.contains(timer.kind))
        batch.retentionDue.insert(timer.kind);
    if (timer.stageId.empty())
        return; // the engine looks at disk and queue in each batch
    auto stage = batch.runs.stage(timer.stageId);
    if (!stage || stage->attempt != timer.attempt)
        return; // started, deleted or tried again meanwhile
    auto run = batch.runs.run(stage->runId);
    if (run->ended() || run->stopping)
        return;
    if (timer.kind == TimerKind::Retry && Retries::due(batch, *stage))
        flow.advance(batch, *run);
    if (timer.kind == TimerKind::ExternalTimeout && externalStages.timedOut(batch, *run, *stage))
        flow.advance(batch, *run);
    if (timer.kind == TimerKind::ApprovalExpiry && approvals.expired(batch, *stage))
        flow.advance(batch, *run);
    if (timer.kind == TimerKind::ShimRecord && stage->status == Status::InProgress)
        if (const auto shim = runner.shimOf(stage->id))
            batch.runs.setShim(stage->id, stage->attempt, shim->pid,
                               static_cast<std::int64_t>(shim->startTime));
    if (timer.kind == TimerKind::StuckCheck && stage->status == Status::InProgress)
        stuckWatch.check(batch, *run, *stage);
}

} // namespace agent
