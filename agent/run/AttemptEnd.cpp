#include "agent/run/AttemptEnd.h"

#include "agent/run/InputRules.h"
#include "agent/store/ArtifactSets.h"

#include <algorithm>

namespace agent
{

namespace
{

/// The agent lost the attempt; what was decided about it still applies.
bool lostByUs(Cause cause)
{
    return cause == Cause::ShimLost || cause == Cause::HostReboot || cause == Cause::SpawnError;
}

/// The command never ran, so its time is a point.
bool neverStarted(Cause cause)
{
    return cause == Cause::SpawnError || cause == Cause::PluginMissing || cause == Cause::Needs;
}

/// A shim that was asked to end, but not by the agent: at the shutdown of the host, or by a person.
Outcome endedFromOutside(Outcome outcome, bool rebooted)
{
    outcome.cause = rebooted ? Cause::HostReboot : Cause::ShimLost;
    outcome.message =
        rebooted ? "the host was shut down while the stage was running"
                 : "the stage's shim was ended by another process than the agent (SIGTERM)";
    return outcome;
}

} // namespace

void AttemptEnd::record(Batch& batch, const Finished& finished)
{
    auto found = batch.runs.stage(finished.stageId);
    if (!found || found->status != Status::InProgress || found->attempt != finished.attempt)
        return;
    Stage& stage = *found;
    Run run = *batch.runs.run(stage.runId);
    batch.afterCommit.push_back([this, id = stage.id] { _timers.cancel(id); });
    stage.clearStuck();
    stage.sealKey.clear(); // nothing more of it is believed
    stage.shimPid = 0;
    stage.shimStart = 0;
    // A stop by the agent is on record before the shim is asked.
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
    // A stage without isolation could have written the outcome.
    stage.message = fittedText(outcome.message, bounds::reason);
    _needs.judge(run, stage);
    if (!outcome.containment
             .empty()) // an attempt that lost its shim keeps what was known at its start
        stage.containment = outcome.containment;
    if (finished.limitsMissing)
        stage.limitsMissing = *finished.limitsMissing;
    for (const Cause cause : outcome.notes)
        stage.notes += (stage.notes.empty() ? "" : ",") + std::string(toString(cause));
    stage.logBytes = outcome.logBytes;
    stage.usage = outcome.usage;
    takeArtifacts(batch, run, stage, outcome);
    _sync.ended(batch, stage, outcome);
    Status status = outcome.succeeded() ? Status::Success : Status::Failure;
    std::string actor = agentActor;
    std::string reason;
    const std::string commit = run.commitHash;

    // … and what was decided about it. A decision that came too late does not change a true end.
    const bool decided = stage.intent != Intent::None &&
                         (outcome.cause == Cause::Stopped || lostByUs(outcome.cause));
    if (decided)
    {
        actor = stage.intentActor;
        reason = stage.intentReason;
        stage.cause = causeOf(stage.intent);
        status = stage.intent == Intent::Succeed ? Status::Success : Status::Failure;
        stage.message = reason;
        stage.startedAt = stage.intentStartedAt ? stage.intentStartedAt : stage.startedAt;
        stage.endedAt = std::max(*stage.startedAt, stage.intentEndedAt.value_or(*stage.endedAt));
        stage.startedCorrected = stage.startedCorrected || stage.intentStartedAt.has_value();
    }
    else if (status == Status::Success)
    {
        takeOutputs(batch, run, stage);
        if (stage.cause == Cause::Exit)
            takeStages(batch, run, stage);
        if (stage.cause != Cause::Exit)
            status = Status::Failure;
    }

    stage.message = _specs.masked(batch, run.id, stage.message);

    const auto event = status == Status::Success ? StageEvent::EndedWell : StageEvent::EndedBadly;
    const Transition next = transition(_specs.state(stage), event);
    if (next.effect != Effect::RecordEnd)
        return;
    const bool undecided = stage.intent == Intent::None;
    stage.status = next.to;
    stage.clearIntent();
    const RecordedEnd end{stage, decided};
    const bool again = undecided && !run.stopping && stage.status == Status::Failure &&
                       _retries.plan(batch, run, stage);
    if (run.commitHash != commit)
        batch.update(run, true); // first: the stage's report is to name it
    if (!again)
    {
        batch.runs.update(stage);
        _writer.stageChanged(batch, stage, Status::InProgress, actor,
                             decided ? reason : stage.message);
    }
    if (run.commitHash != commit)
        _writer.commitResolved(batch, run);
    if (end.stage.cause == Cause::ShimLost)
        batch.log.push_back("stage " + stage.id + " (" + stage.name + " of run " + stage.runId +
                            "): " + end.stage.message);
    _caches.stageEnded(batch, run, end.stage);
    _needs.stageEnded(batch, end.stage);
    _flow.advance(batch,
                  run); // first: the next stage's launch is not to wait for what is cleared away
    batch.afterCommit.push_back(
        [this, end, finished]
        {
            _runner.forget(finished);
            _waiters.ended(end);
        });
}

/// A run whose stages stand in its repository gets them with the end of the stage that fetched it.
void AttemptEnd::takeStages(Batch& batch, Run& run, Stage& stage)
{
    const std::string wrong = _repository.take(batch, run, stage);
    if (wrong.empty())
        return;
    stage.cause = Cause::Pipeline;
    stage.message = wrong;
}

/// What the attempt has kept is in the store by now; what it only began to keep goes.
void AttemptEnd::takeArtifacts(Batch& batch, const Run& run, Stage& stage, const Outcome& outcome)
{
    if (outcome.tests)
    {
        stage.testsTotal = outcome.tests->total;
        stage.testsFailed = outcome.tests->failed;
        stage.testsSkipped = outcome.tests->skipped;
    }
    if (!outcome.artifacts)
    {
        batch.afterCommit.push_back(
            [this, set = _state.artifactSet(run.id, stage.id, stage.attempt)]
            { _cleanup.discardArtifacts(set); });
        return;
    }
    const StageSpec& spec = _specs.stage(run, stage);
    stage.artifactFiles = outcome.artifacts->files;
    stage.artifactBytes = outcome.artifacts->bytes;
    stage.artifactManifest = outcome.artifacts->manifest;
    const std::int64_t keepMs =
        run.kept ? 0 : spec.artifacts.keepMs.value_or(_specs.artifactsKeepMs());
    ArtifactSets(batch.connection)
        .add({.stageId = stage.id,
              .attempt = stage.attempt,
              .runId = run.id,
              .name = artifactNameOf(spec),
              .bytes = outcome.artifacts->bytes,
              .createdAt = *stage.endedAt,
              .expiresAt = keepMs > 0 ? std::optional(*stage.endedAt + keepMs) : std::nullopt});
    batch.artifactsKept = true;
}

/// Reads what the plugin gave to later stages. Outputs that can't be used are the plugin's fault.
void AttemptEnd::takeOutputs(Batch& batch, Run& run, Stage& stage)
{
    try
    {
        std::map<std::string, std::string> before;
        if (stage.plugin == "git")
            before = outputsBefore(stage.ordinal, batch.runs.stages(run.id));
        agent::takeOutputs(run, stage, before, _state.attempt(stage, stage.attempt),
                           allSecrets(_specs.pipeline(run)), _specs.orders().secrets);
    }
    catch (const std::runtime_error& error)
    {
        stage.cause = Cause::PluginError;
        stage.message = error.what();
    }
}

} // namespace agent
