// What can be asked of the engine about stages, straight down. All of it runs on its thread.
#include "agent/run/Engine.h"

#include <algorithm>

namespace agent
{

namespace
{

std::string list(const std::vector<Status>& statuses)
{
    std::string text;
    for (const auto status : statuses)
        text += (text.empty() ? "" : ", ") + std::string(toString(status));
    return text.empty() ? "none" : text;
}

Declined conflict(const std::string& code, const std::string& message)
{
    return {Declined::Kind::Conflict, code, message};
}

Declined invalid(const std::string& field, const std::string& message)
{
    return {Declined::Kind::Invalid, "invalid_value", message, field};
}

Declined notPossible(const Stage& stage, StageState state, Status wanted)
{
    return conflict("transition_not_possible",
                    "a stage that is " + std::string(toString(stage.status)) + " can't be made " +
                        std::string(toString(wanted)) +
                        "; possible: " + list(possiblePatches(state)));
}

void checkVersion(const Stage& stage, const std::optional<Versions>& wanted)
{
    if (wanted && std::find(wanted->begin(), wanted->end(), stage.version) == wanted->end())
        throw Declined(Declined::Kind::Changed, "stage_changed",
                       "the stage changed meanwhile: its version is " +
                           std::to_string(stage.version));
}

/// The first stage before `stage` that did not end well; none when `stage` is next.
std::optional<Stage> notDone(const std::vector<Stage>& stages, const Stage& stage)
{
    const auto found =
        std::find_if(stages.begin(), stages.end(),
                     [&](const Stage& other) { return other.status != Status::Success; });
    if (found == stages.end() || found->ordinal >= stage.ordinal)
        return std::nullopt;
    return *found;
}

} // namespace

Stage Engine::need(Batch& batch, const std::string& stageId)
{
    auto stage = batch.runs.stage(stageId);
    if (!stage)
        throw Declined(Declined::Kind::NotFound, "stage_not_found", "there is no stage " + stageId);
    return *stage;
}

void Engine::patchStage(const std::string& id, const StagePatch& patch)
{
    call<bool>(
        [this, id, patch](Batch& batch, const Promise<bool>& promise)
        {
            Stage stage = need(batch, id);
            checkVersion(stage, patch.ifVersion);
            patchOne(batch, patch, stage, promise);
        });
}

void Engine::patchOne(Batch& batch, const StagePatch& patch, Stage& stage,
                      const Promise<bool>& promise)
{
    Run run = needRun(batch, stage.runId);
    if (patch.status && applyStatus(batch, patch, run, stage))
    {
        // A shim has to end its processes first; the answer follows their end.
        mayWait(batch);
        batch.afterCommit.push_back(
            [this, id = stage.id, promise]
            {
                await(id,
                      [promise](const RecordedEnd* end, const std::exception_ptr& instead)
                      {
                          if (!end)
                              return promise->set_exception(instead);
                          if (end->decided)
                              return promise->set_value(true);
                          promise->set_exception(std::make_exception_ptr(conflict(
                              "stage_ended",
                              "the stage ended by itself before it could be stopped: " +
                                  std::string(toString(end->stage.status)) + ", cause " +
                                  std::string(toString(end->stage.cause.value_or(Cause::Exit))))));
                      });
            });
        return;
    }
    applyTimes(batch, patch, stage);
    answer(batch, promise, true);
}

/// Shape: true when the answer has to wait for the end of the stage's processes.
bool Engine::applyStatus(Batch& batch, const StagePatch& patch, Run& run, Stage& stage)
{
    const StageState state = _flow.state(stage);
    const Transition next = transition(state, patchTo(*patch.status));
    switch (next.effect)
    {
    case Effect::Nothing:
        return false;
    case Effect::Start:
        startByHand(batch, run, stage, patch);
        break;
    case Effect::EndProcesses:
        decide(batch, run, stage, next.to == Status::Success ? Intent::Succeed : Intent::Fail,
               patch);
        return true;
    case Effect::EndExternal:
        _flow.endWithoutProcess(batch, stage, next.to, Cause::External, patch.actor, patch.reason);
        break;
    case Effect::Reject:
        _flow.endWithoutProcess(batch, stage, next.to, Cause::Rejected, patch.actor, patch.reason);
        break;
    case Effect::Skip:
        skip(batch, run, stage, patch);
        break;
    case Effect::Accept:
    {
        const auto stages = batch.runs.stages(run.id);
        const bool goesOn = std::any_of(
            stages.begin(), stages.end(),
            [&](const Stage& other) { return other.ordinal > stage.ordinal && !other.ended(); });
        if (goesOn)
            needWorkspace(batch, run);
        const Status from = stage.status;
        stage.status = next.to;
        stage.cause = Cause::Operator;
        batch.runs.update(stage);
        _flow.note(batch, stage, from, patch.actor, patch.reason);
        reopen(batch, run, patch);
        stage = need(batch, stage.id);
        return false;
    }
    case Effect::TryAgain:
        tryAgain(batch, run, stage, patch);
        stage = need(batch, stage.id);
        return false;
    case Effect::Busy:
        if (const auto undying = _executions.undying(stage.id))
            throw remain(*undying);
        throw conflict("stage_stopping",
                       "the stage is being ended already; wait for it and look again");
    default:
        throw notPossible(stage, state, *patch.status);
    }
    if (!run.ended())
        _flow.advance(batch, run);
    stage = need(batch, stage.id);
    return false;
}

/// An ended run goes on with a stage that is next in it: it was stopped before that one.
void Engine::skip(Batch& batch, Run& run, Stage& stage, const StagePatch& patch)
{
    const bool next = !notDone(batch.runs.stages(run.id), stage);
    if (run.ended() && next)
        needWorkspace(batch, run);
    _flow.endWithoutProcess(batch, stage, Status::Success, Cause::Skipped, patch.actor,
                            patch.reason);
    if (run.ended() && next)
        reopen(batch, run, patch);
}

void Engine::startByHand(Batch& batch, Run& run, Stage& stage, const StagePatch& patch)
{
    if (run.stopping)
        throw conflict("run_stopping", "the run is being stopped; wait for its end");
    if (const auto other = notDone(batch.runs.stages(run.id), stage))
        throw conflict("stage_not_due",
                       "the stage can't start: " + other->name + " before it is " +
                           std::string(toString(other->status)) +
                           (other->status == Status::Failure
                                ? "; make that one IDLE to try it again, or SUCCESS to accept it"
                                : ""));
    if (run.ended())
        needWorkspace(batch, run);
    if (!_flow.external(stage) && _flow.diskLow())
        throw Declined(Declined::Kind::Unavailable, "disk_low",
                       "the disk of the state folder is below disk.min_free; free some space and "
                       "try again");
    stage.approved = true;
    if (run.ended())
    {
        run.endedAt.reset();
        _flow.setStatus(batch, run, Status::InProgress, patch.actor, patch.reason);
    }
    _flow.start(batch, run, stage, patch.actor, patch.reason);
}

/// Commits what is to become of a running stage; its shim is told afterwards.
void Engine::decide(Batch& batch, Run& run, Stage& stage, Intent intent, const StagePatch& patch)
{
    const TimeMs started = patch.startedAt.value_or(*stage.startedAt);
    if (patch.endedAt && *patch.endedAt < started)
        throw invalid("endedAt", "endedAt is before startedAt");
    if (patch.durationSeconds && !patch.endedAt)
        throw invalid("duration", "give endedAt with the duration: the end of a running stage is "
                                  "not yet known");
    if (patch.durationSeconds && *patch.durationSeconds != ceilSeconds(started, *patch.endedAt))
        throw invalid("duration", "duration is not endedAt - startedAt, rounded up: " +
                                      std::to_string(ceilSeconds(started, *patch.endedAt)));
    stage.intent = intent;
    stage.intentActor = patch.actor;
    stage.intentReason = _flow.masked(batch, stage.runId, patch.reason);
    // Who gives end and duration says by that when it started; the shim's own time differs by a moment.
    stage.intentStartedAt = patch.durationSeconds ? started : patch.startedAt;
    stage.intentEndedAt = patch.endedAt;
    batch.runs.update(stage);
    batch.changedRuns.insert(run.id);
    batch.afterCommit.push_back([this, id = stage.id, grace = _flow.graceMs(run, stage)]
                                { _executions.stop(id, grace); });
}

/// What is to go on needs what the stages before it have made.
void Engine::needWorkspace(Batch& batch, const Run& run)
{
    if (std::filesystem::is_directory(_state.workspace(run.id)))
        return;
    for (const auto& stage : batch.runs.stages(run.id))
    {
        const bool refused = stage.cause == Cause::SpawnError ||
                             stage.cause == Cause::PluginError ||
                             stage.cause == Cause::PluginMissing || stage.cause == Cause::DiskFull;
        if (stage.attempt > 0 && !refused && !_flow.external(stage))
            throw conflict("workspace_gone",
                           "the run's workspace was removed; rerun the run instead");
    }
}

void Engine::tryAgain(Batch& batch, Run& run, Stage& stage, const StagePatch& patch)
{
    needWorkspace(batch, run);
    for (auto& other : batch.runs.stages(run.id))
    {
        if (other.ordinal < stage.ordinal)
            continue;
        const Status from = other.status;
        if (other.ended())
            batch.runs.keepAttempt(other);
        other.status = Status::Idle;
        other.clearEnd();
        if (other.ordinal > stage.ordinal)
            other.approved = false;
        batch.runs.update(other);
        if (from != other.status)
            _flow.note(batch, other, from, patch.actor, patch.reason);
    }
    reopen(batch, run, patch);
}

/// The run goes on where it failed: first in the queue, or at its end if nothing is left to do.
void Engine::reopen(Batch& batch, Run& run, const StagePatch& patch)
{
    if (run.ended())
    {
        run.endedAt.reset();
        run.resumed = true;
        run.wantsSlot = true;
        run.holdsSlot = false;
        _flow.setStatus(batch, run, Status::Idle, patch.actor, patch.reason);
    }
    _flow.advance(batch, run);
}

/// Corrects times by hand, against the state that the status left.
void Engine::applyTimes(Batch& batch, const StagePatch& patch, Stage& stage)
{
    if (!patch.startedAt && !patch.endedAt && !patch.durationSeconds)
        return remark(batch, patch, stage);
    if (!stage.ended() && (patch.endedAt || patch.durationSeconds))
        throw conflict("stage_not_ended",
                       "endedAt and duration can be set on a stage that has ended; "
                       "this one is " +
                           std::string(toString(stage.status)));
    if (!stage.ended() && stage.status != Status::InProgress)
        throw conflict("stage_not_started",
                       "startedAt can be set on a stage that has started; this "
                       "one is " +
                           std::string(toString(stage.status)));
    const TimeMs started = patch.startedAt.value_or(*stage.startedAt);
    if (stage.ended())
    {
        const TimeMs ended = patch.endedAt.value_or(*stage.endedAt);
        if (ended < started)
            throw invalid(patch.endedAt ? "endedAt" : "startedAt", "endedAt (" + formatTime(ended) +
                                                                       ") is before startedAt (" +
                                                                       formatTime(started) + ")");
        if (patch.durationSeconds && *patch.durationSeconds != ceilSeconds(started, ended))
            throw invalid("duration", "duration is not endedAt - startedAt, rounded up: " +
                                          std::to_string(ceilSeconds(started, ended)));
        stage.endedAt = ended;
    }
    stage.startedAt = started;
    stage.startedCorrected = stage.startedCorrected || patch.startedAt.has_value();
    batch.runs.update(stage);
    if (patch.startedAt && _flow.state(stage) == StageState::External)
        _flow.armTimeout(batch, needRun(batch, stage.runId), stage);
    _flow.note(batch, stage, stage.status, patch.actor,
               patch.reason.empty() ? "times corrected" : patch.reason);
}

/// What somebody has to say about a stage as it is.
void Engine::remark(Batch& batch, const StagePatch& patch, Stage& stage)
{
    if (patch.status || patch.reason.empty())
        return;
    batch.runs.update(stage);
    _flow.note(batch, stage, stage.status, patch.actor, patch.reason);
}

Stage Engine::deleteStage(const std::string& id, const std::optional<Versions>& ifVersion,
                          const std::string& actor)
{
    return call<Stage>(
        [this, id, ifVersion, actor](Batch& batch, const Promise<Stage>& promise)
        {
            const Stage stage = need(batch, id);
            checkVersion(stage, ifVersion);
            if (transition(_flow.state(stage), StageEvent::Delete).effect != Effect::Remove)
                throw conflict("stage_in_progress", "the stage is IN_PROGRESS; end it first");
            batch.runs.removeStage(id);
            batch.changedRuns.insert(stage.runId);
            batch.history.append({.at = nowMs(),
                                  .runId = stage.runId,
                                  .stageId = stage.id,
                                  .actor = actor,
                                  .from = std::string(toString(stage.status)),
                                  .cause = stage.cause,
                                  .reason = "deleted",
                                  .attempt = stage.attempt});
            Run run = needRun(batch, stage.runId);
            if (!run.ended())
                _flow.advance(batch, run);
            batch.afterCommit.push_back([this, stage] { _janitor.discard(_state.stage(stage)); });
            answer(batch, promise, stage);
        });
}

} // namespace agent
