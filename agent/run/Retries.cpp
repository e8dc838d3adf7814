#include "agent/run/Retries.h"

#include "agent/run/AttemptSync.h"

#include <algorithm>
#include <utility>

namespace agent
{

namespace
{

bool retryable(const RetrySpec& retry, const Stage& stage)
{
    switch (*stage.cause)
    {
    case Cause::Stopped:
    case Cause::Operator:
    case Cause::Rejected:
        return false;
    case Cause::ShimLost:
    case Cause::HostReboot:
        if (retry.onLoss)
            return true;
        break;
    default:
        break;
    }
    if (std::find(retry.onCauses.begin(), retry.onCauses.end(), *stage.cause) !=
        retry.onCauses.end())
        return true;
    const bool itsOwnEnd = *stage.cause == Cause::Exit ||
                           (*stage.cause == Cause::DiskFull && (stage.exitCode || stage.signal));
    if (itsOwnEnd && !retry.onExitCodes.empty())
        return std::find(retry.onExitCodes.begin(), retry.onExitCodes.end(),
                         stage.exitCode.value_or(-1)) != retry.onExitCodes.end();
    const bool unnamed = retry.onCauses.empty() && retry.onExitCodes.empty();
    return unnamed &&
           (itsOwnEnd || *stage.cause == Cause::Signal || *stage.cause == Cause::Timeout ||
            *stage.cause == Cause::Silent || *stage.cause == Cause::Oom);
}

} // namespace

bool Retries::plan(Batch& batch, const Run& run, Stage& stage)
{
    const RetrySpec& spec = _specs.stage(run, stage).retry;
    if (stage.attempt >= spec.attempts || !retryable(spec, stage))
        return false;
    if (const auto stages = batch.runs.stages(run.id);
        stage.synced == Sync::Lost || workspaceLost(stages))
    {
        stage.message += "; not retried, as files of its workspace may be lost: rerun the run";
        return false;
    }
    stage.updatedAt = nowMs();
    _writer.stageChanged(batch, stage, Status::InProgress, agentActor, stage.message);
    batch.runs.keepAttempt(stage);
    const Status failed = stage.status;
    const std::string why = stage.message;
    stage.status = transition(_specs.state(stage), StageEvent::Retry).to;
    stage.clearEnd();
    stage.retryAt = nowMs() + spec.delayMs;
    stage.message = "attempt " + std::to_string(stage.attempt + 1) + " of " +
                    std::to_string(spec.attempts) + " begins at " + formatTime(*stage.retryAt) +
                    (why.empty() ? "" : "; attempt " + std::to_string(stage.attempt) + ": " + why);
    batch.runs.update(stage);
    _writer.stageChanged(batch, stage, failed, agentActor,
                         "attempt " + std::to_string(stage.attempt + 1) + " of " +
                             std::to_string(spec.attempts));
    setTimer(batch, stage, spec.delayMs);
    return true;
}

bool Retries::due(Batch& batch, Stage& stage)
{
    if (stage.status != Status::Idle || !stage.retryAt)
        return false;
    stage.retryAt.reset();
    batch.runs.update(stage);
    return true;
}

std::string Retries::giveUp(Batch& batch, Stage& stage)
{
    const auto last = batch.runs.attempt(stage.id, stage.attempt);
    std::string said = "stopped before attempt " + std::to_string(stage.attempt + 1);
    if (!last)
        return said;
    if (!last->message.empty())
        said += "; attempt " + std::to_string(stage.attempt) + ": " + last->message;
    const Stage waiting = std::exchange(stage, *last);
    stage.status = waiting.status;
    return said;
}

void Retries::resume(Batch& batch, const Run& run, const Stage& stage)
{
    // At most the whole delay: the clock may have been set back.
    setTimer(batch, stage,
             std::clamp<std::int64_t>(*stage.retryAt - nowMs(), 0,
                                      _specs.stage(run, stage).retry.delayMs));
}

void Retries::setTimer(Batch& batch, const Stage& stage, std::int64_t delayMs)
{
    batch.afterCommit.push_back(
        [this, delayMs, id = stage.id, attempt = stage.attempt] {
            _timers.set({TimerKind::Retry, id, attempt}, delayMs);
        });
}

} // namespace agent
