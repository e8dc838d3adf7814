// How a stage ends: by itself, by a decision, by its time; and whether it is tried again.
#include "agent/run/RunFlow.h"

#include <algorithm>

namespace agent
{

namespace
{

/// The agent lost the attempt; what was decided about it stands all the same.
bool lostByUs(Cause cause)
{
    return cause == Cause::ShimLost || cause == Cause::HostReboot || cause == Cause::SpawnError;
}

/// The command never ran, so its time is a point.
bool neverStarted(Cause cause)
{
    return cause == Cause::SpawnError || cause == Cause::PluginMissing;
}

/// A shim that was asked to end, but not by us: by the host on its way down, or by a person.
Outcome endedFromOutside(Outcome outcome, bool rebooted)
{
    outcome.cause = rebooted ? Cause::HostReboot : Cause::ShimLost;
    outcome.message = rebooted ? "the host was shut down while the stage was running"
                               : "somebody other than the agent ended the stage's shim (SIGTERM)";
    return outcome;
}

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
    if (*stage.cause == Cause::Exit && !retry.onExitCodes.empty())
        return std::find(retry.onExitCodes.begin(), retry.onExitCodes.end(),
                         stage.exitCode.value_or(-1)) != retry.onExitCodes.end();
    const bool unnamed = retry.onCauses.empty() && retry.onExitCodes.empty();
    return unnamed && (*stage.cause == Cause::Exit || *stage.cause == Cause::Signal ||
                       *stage.cause == Cause::Timeout || *stage.cause == Cause::Silent ||
                       *stage.cause == Cause::Oom);
}

} // namespace

void RunFlow::recordEnd(Batch& batch, const Finished& finished)
{
    auto found = batch.runs.stage(finished.stageId);
    if (!found || found->status != Status::InProgress || found->attempt != finished.attempt)
        return;
    Stage& stage = *found;
    Run run = *batch.runs.run(stage.runId);
    batch.afterCommit.push_back([this, id = stage.id] { _hooks.forgetTimers(id); });
    stage.clearStuck();
    // Whoever stops a stage through us has said so on record before its shim hears of it.
    const bool outside = finished.outcome.cause == Cause::Stopped && stage.intent == Intent::None;
    const Outcome outcome =
        outside ? endedFromOutside(finished.outcome, finished.rebooted) : finished.outcome;

    // What the process did …
    if (!stage.startedCorrected && !neverStarted(outcome.cause) && outcome.startedAt > 0)
        stage.startedAt = outcome.startedAt;
    stage.endedAt = neverStarted(outcome.cause) ? *stage.startedAt
                                                : std::max(*stage.startedAt, outcome.endedAt);
    stage.cause = outcome.cause;
    stage.exitCode = outcome.exitCode;
    stage.signal = outcome.signal;
    stage.message = outcome.message;
    if (!outcome.containment
             .empty()) // who lost its shim can't say more than was known at its start
        stage.containment = outcome.containment;
    if (finished.limitsMissing)
        stage.limitsMissing = *finished.limitsMissing;
    for (const Cause cause : outcome.notes)
        stage.notes += (stage.notes.empty() ? "" : ",") + std::string(toString(cause));
    stage.logBytes = outcome.logBytes;
    stage.usage = outcome.usage;
    Status status = outcome.succeeded() ? Status::Success : Status::Failure;
    std::string actor = self;
    std::string reason;

    // … and what was decided about it. A decision that came too late does not change a true end.
    const bool decided = stage.intent != Intent::None &&
                         (outcome.cause == Cause::Stopped || lostByUs(outcome.cause));
    if (decided)
    {
        actor = stage.intentActor;
        reason = stage.intentReason;
        stage.cause = stage.intent == Intent::Stop ? Cause::Stopped : Cause::Operator;
        status = stage.intent == Intent::Succeed ? Status::Success : Status::Failure;
        stage.message = reason;
        stage.startedAt = stage.intentStartedAt ? stage.intentStartedAt : stage.startedAt;
        stage.endedAt = std::max(*stage.startedAt, stage.intentEndedAt.value_or(*stage.endedAt));
        stage.startedCorrected = stage.startedCorrected || stage.intentStartedAt.has_value();
    }
    else if (status == Status::Success)
    {
        takeOutputs(run, stage);
        if (stage.cause != Cause::Exit)
            status = Status::Failure;
    }

    stage.message = masked(batch, run.id, stage.message);

    const auto event = status == Status::Success ? StageEvent::EndedWell : StageEvent::EndedBadly;
    const Transition next = transition(state(stage), event);
    if (next.effect != Effect::RecordEnd)
        return;
    const bool undecided = stage.intent == Intent::None;
    stage.status = next.to;
    stage.clearIntent();
    const RecordedEnd end{stage, decided};
    const bool again =
        undecided && !run.stopping && stage.status == Status::Failure && retry(batch, run, stage);
    if (!again)
    {
        batch.runs.update(stage);
        note(batch, stage, Status::InProgress, actor, decided ? reason : stage.message);
    }
    batch.afterCommit.push_back(
        [this, end, folder = _state.attempt(stage, finished.attempt)]
        {
            _executions.forget(folder);
            _hooks.ended(end);
        });
    advance(batch, run);
}

/// Reads what the plugin gave to later stages. Outputs that can't be used are the plugin's fault.
void RunFlow::takeOutputs(Run& run, Stage& stage)
{
    try
    {
        agent::takeOutputs(run, stage, _state.attempt(stage, stage.attempt), pipeline(run)->secrets,
                           _options.orders.secretsDir);
    }
    catch (const std::runtime_error& error)
    {
        stage.cause = Cause::PluginError;
        stage.message = error.what();
    }
}

/// Makes the failed `stage` IDLE again for another attempt where its retry says so. Writes it then.
bool RunFlow::retry(Batch& batch, const Run& run, Stage& stage)
{
    const RetrySpec& spec = specOf(run, stage).retry;
    if (stage.attempt >= spec.attempts || !retryable(spec, stage))
        return false;
    stage.updatedAt = nowMs();
    note(batch, stage, Status::InProgress, self, stage.message);
    batch.runs.keepAttempt(stage);
    const Stage failed = stage;
    stage.clearEnd();
    stage.status = Status::Idle;
    stage.retryAt = nowMs() + spec.delayMs;
    batch.runs.update(stage);
    note(batch, stage, failed.status, self,
         "attempt " + std::to_string(stage.attempt + 1) + " of " + std::to_string(spec.attempts));
    batch.afterCommit.push_back([this, delay = spec.delayMs, id = stage.id, n = stage.attempt]
                                { _hooks.timer(delay, id, n); });
    return true;
}

void RunFlow::endWithoutProcess(Batch& batch, Stage& stage, Status status, Cause cause,
                                const std::string& actor, const std::string& reason)
{
    const Status from = stage.status;
    if (!stage.endedAt)
        stage.endedAt = nowMs();
    if (!stage.startedAt)
        stage.startedAt = stage.endedAt;
    stage.endedAt = std::max(*stage.startedAt, *stage.endedAt);
    stage.status = status;
    stage.cause = cause;
    stage.message = masked(batch, stage.runId, reason);
    stage.retryAt.reset();
    batch.runs.update(stage);
    note(batch, stage, from, actor, reason);
}

void RunFlow::due(Batch& batch, const std::string& stageId, int attempt)
{
    if (stageId.empty())
    {
        _diskTimer = false; // schedule() looks at the disk
        return;
    }
    auto stage = batch.runs.stage(stageId);
    if (!stage || stage->attempt != attempt)
        return; // started, deleted or tried again meanwhile
    auto run = batch.runs.run(stage->runId);
    if (run->ended() || run->stopping)
        return;
    if (stage->status == Status::Idle && stage->retryAt)
    {
        stage->retryAt.reset();
        batch.runs.update(*stage);
        advance(batch, *run);
    }
    else if (transition(state(*stage), StageEvent::TimedOut).effect == Effect::RecordEnd)
    {
        const TimeMs limit = *stage->startedAt + timeoutOf(*run, *stage);
        if (stage->startedCorrected && nowMs() < limit)
            return armTimeout(batch, *run, *stage);
        // The timer is right even where somebody has set the clock.
        stage->endedAt = limit;
        endWithoutProcess(batch, *stage, Status::Failure, Cause::Timeout, self,
                          "no end was reported within its timeout");
        advance(batch, *run);
    }
    else if (stage->status == Status::InProgress)
        lookWhetherStuck(batch, *run, *stage);
}

std::int64_t RunFlow::timeoutOf(const Run& run, const Stage& stage)
{
    return specOf(run, stage).timeoutMs.value_or(_options.orders.timeoutMs);
}

void RunFlow::armTimeout(Batch& batch, const Run& run, const Stage& stage)
{
    const std::int64_t timeout = timeoutOf(run, stage);
    if (timeout == 0)
        return;
    // Never longer than when it began: the clock may have been set back since.
    const std::int64_t left =
        std::clamp<std::int64_t>(*stage.startedAt + timeout - nowMs(), 0, timeout);
    batch.afterCommit.push_back([this, left, id = stage.id, attempt = stage.attempt]
                                { _hooks.timer(left, id, attempt); });
}

} // namespace agent
