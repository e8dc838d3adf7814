#include "agent/run/PatchStage.h"

#include "agent/model/Conditions.h"
#include "agent/run/Engine.h"
#include "agent/run/InputRules.h"
#include "agent/run/Lookup.h"
#include "agent/run/StageControl.h"

#include <algorithm>

namespace agent::commands
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

Declined notPossible(const Stage& stage, StageState state, Status wanted)
{
    return Declined::conflict("transition_not_possible",
                              "a stage that is " + std::string(toString(stage.status)) +
                                  " can't be made " + std::string(toString(wanted)) +
                                  "; possible: " + list(possiblePatches(state)));
}

/// One patch of one stage within a batch.
class StagePatcher
{
public:
    StagePatcher(Batch& batch, EngineParts& parts, const StagePatch& patch, Stage stage)
        : _batch(batch),
          _parts(parts),
          _patch(patch),
          _stage(std::move(stage)),
          _run(needRun(batch, _stage.runId))
    {
    }

    Answer<Done> apply()
    {
        needRoomForRemark();
        if (_patch.status && applyStatus(*_patch.status))
            return {_stage.id, [](const RecordedEnd& end) { return afterItsEnd(end); }};
        if (_patch.startedAt || _patch.endedAt || _patch.durationSeconds)
            correctTimes();
        else if (!_patch.status && !_patch.reason.empty())
            comment();
        return Done{};
    }

private:
    /// The history of a stage keeps all that clients say: that has an end. A change of its status without
    /// a reason is always possible, for an operator must be able to end it.
    void needRoomForRemark()
    {
        const bool corrects = _patch.startedAt || _patch.endedAt || _patch.durationSeconds;
        if ((!_patch.reason.empty() || corrects) &&
            _batch.history.hasRemarks(_stage.id, bounds::remarks))
            throw Declined::conflict("too_many_remarks",
                                     "the stage's history has " + std::to_string(bounds::remarks) +
                                         " remarks already; change its status without a reason");
    }

    static Done afterItsEnd(const RecordedEnd& end)
    {
        if (!end.decided)
            throw Declined::conflict(
                "stage_ended", "the stage ended by itself before it could be stopped: " +
                                   std::string(toString(end.stage.status)) + ", cause " +
                                   std::string(toString(end.stage.cause.value_or(Cause::Exit))));
        return {};
    }

    /// Returns true when the answer has to wait for the end of the stage's processes.
    bool applyStatus(Status wanted)
    {
        const StageState state = _parts.specs.state(_stage);
        if (state == StageState::Skipped && wanted != Status::Idle)
            throw Declined::conflict("stage_skipped",
                                     "the stage is skipped for good, as " + _stage.skipped);
        const Transition next = transition(state, patchTo(wanted));
        const bool lets = next.effect == Effect::EndProcesses || next.effect == Effect::Skip ||
                          next.effect == Effect::Accept;
        if (lets && next.to == Status::Success)
            needStages(_parts, _run, _stage);
        switch (next.effect)
        {
        case Effect::Nothing:
            return false;
        case Effect::EndProcesses:
            decideEnd(_batch, _parts, _run, _stage,
                      next.to == Status::Success ? Intent::Succeed : Intent::Fail, _patch);
            return true;
        case Effect::Start:
            startByHand(_batch, _parts, _run, _stage, actor(), _patch.reason);
            break;
        case Effect::EndExternal:
            end(next.to, Cause::External);
            break;
        case Effect::Reject:
            end(next.to, Cause::Rejected);
            break;
        case Effect::Skip:
            skip(next.to);
            break;
        case Effect::Accept:
            accept(next.to);
            break;
        case Effect::TryAgain:
            tryAgain();
            break;
        case Effect::Busy:
            if (const auto known = _parts.runner.unkillable(_stage.id))
                throw EndWaiters::processesRemain(*known);
            throw Declined::conflict(
                "stage_stopping", "the stage is being ended already; wait for it and look again");
        default:
            throw notPossible(_stage, state, wanted);
        }
        if (!_run.ended())
            _parts.flow.advance(_batch, _run);
        _stage = needStage(_batch, _stage.id);
        return false;
    }

    [[nodiscard]] Actor actor() const { return {.name = _patch.actor, .role = _patch.role}; }

    void end(Status status, Cause cause)
    {
        _parts.writer.endStage(_batch, _stage, status, cause, _patch.actor, _patch.reason);
    }

    /// An ended run goes on where the skipped stage was next: it was stopped before that one.
    void skip(Status to)
    {
        _parts.approvals.needApprover(_run, _stage, actor());
        const bool goesOn = _run.ended() && !unfinishedBefore(_batch, _stage);
        if (goesOn)
            needWorkspace(_batch, _parts, _run);
        end(to, Cause::Skipped);
        if (!goesOn)
            return;
        clearLastStages(_batch, _parts, _run, _stage.ordinal, actor(), _patch.reason);
        reopen();
    }

    /// Where a stage before is not done, this one ran after the failure: the run stays as it ended.
    void accept(Status to)
    {
        needNotFinishing(_run);
        _parts.approvals.needApprover(_run, _stage, actor());
        const bool goesOn = !unfinishedBefore(_batch, _stage);
        if (goesOn)
        {
            if (startsBehind())
                needWorkspace(_batch, _parts, _run);
            clearLastStages(_batch, _parts, _run, _stage.ordinal, actor(), _patch.reason);
        }
        const Status from = _stage.status;
        _stage.status = to;
        _stage.cause = Cause::Operator;
        _batch.runs.update(_stage);
        _parts.writer.stageChanged(_batch, _stage, from, _patch.actor, _patch.reason);
        if (goesOn)
            return reopen();
        _batch.afterCommit.push_back([&specs = _parts.specs, id = _run.id] { specs.release(id); });
    }

    /// Whether a stage behind will start once this one is a success. One that runs after a failure alone will not.
    [[nodiscard]] bool startsBehind()
    {
        const auto stages = _batch.runs.stages(_run.id);
        return std::any_of(stages.begin(), stages.end(),
                           [&](const Stage& other)
                           {
                               if (other.ordinal <= _stage.ordinal)
                                   return false;
                               const RunsAfter after = _parts.specs.stage(_run, other).when.run;
                               return other.ended() ? after == RunsAfter::Always
                                                    : !other.done() && after != RunsAfter::Failure;
                           });
    }

    void tryAgain()
    {
        needNotFinishing(_run);
        needWorkspace(_batch, _parts, _run);
        for (auto& other : _batch.runs.stages(_run.id))
        {
            if (other.ordinal < _stage.ordinal)
                continue;
            if (other.skipped == noFailure)
            {
                other.skipped.clear(); // its turn comes again
                _batch.runs.update(other);
            }
            const auto event =
                other.ordinal == _stage.ordinal ? StageEvent::PatchIdle : StageEvent::Reset;
            const Transition next = transition(_parts.specs.state(other), event);
            if (next.effect == Effect::Ignore)
                continue;
            const Status from = other.status;
            if (other.ended())
                _batch.runs.keepAttempt(other);
            other.status = next.to;
            other.clearEnd();
            if (other.ordinal > _stage.ordinal)
                other.approved = false;
            _batch.runs.update(other);
            if (from != other.status)
                _parts.writer.stageChanged(_batch, other, from, _patch.actor, _patch.reason);
        }
        reopen();
    }

    /// The run goes on where it failed: first in the queue, or at its end when nothing is left to do. Where a
    /// stage before is not done, this one runs after failures, and the run stays FAILURE.
    void reopen()
    {
        if (!_run.ended())
            return;
        _run.endedAt.reset();
        _run.resumed = true;
        _run.wantsSlot = true;
        _run.holdsSlot = false;
        if (unfinishedBefore(_batch, _stage))
            return _batch.update(_run); // not as a run of the same status: endedAt changes too
        _run.stopCause.reset();
        _parts.writer.setStatus(_batch, _run, Status::Idle, _patch.actor, _patch.reason);
    }

    /// Against the status that the patch left.
    void correctTimes()
    {
        if (!_stage.ended() && (_patch.endedAt || _patch.durationSeconds))
            throw Declined::conflict("stage_not_ended",
                                     "endedAt and duration can be set on a stage that has ended; "
                                     "this one is " +
                                         std::string(toString(_stage.status)));
        if (!_stage.ended() && _stage.status != Status::InProgress)
            throw Declined::conflict("stage_not_started",
                                     "startedAt can be set on a stage that has started; this "
                                     "one is " +
                                         std::string(toString(_stage.status)));
        const TimeMs started = _patch.startedAt.value_or(*_stage.startedAt);
        if (_stage.ended())
            _stage.endedAt = correctedEnd(started);
        _stage.startedAt = started;
        _stage.startedCorrected = _stage.startedCorrected || _patch.startedAt.has_value();
        _batch.runs.update(_stage);
        if (_patch.startedAt && _parts.specs.state(_stage) == StageState::External)
            _parts.externalStages.watch(_batch, _run, _stage);
        _parts.writer.stageChanged(_batch, _stage, _stage.status, _patch.actor,
                                   _patch.reason.empty() ? "times corrected" : _patch.reason);
    }

    [[nodiscard]] TimeMs correctedEnd(TimeMs started) const
    {
        const TimeMs ended = _patch.endedAt.value_or(*_stage.endedAt);
        if (ended < started)
            throw Declined::invalid(_patch.endedAt ? "endedAt" : "startedAt",
                                    "endedAt (" + formatTime(ended) + ") is before startedAt (" +
                                        formatTime(started) + ")");
        if (_patch.durationSeconds && *_patch.durationSeconds != ceilSeconds(started, ended))
            throw Declined::invalid("duration",
                                    "duration is not endedAt - startedAt, rounded up: " +
                                        std::to_string(ceilSeconds(started, ended)));
        return ended;
    }

    /// A remark for the history; the stage stays as it is.
    void comment()
    {
        _batch.runs.update(_stage);
        _parts.writer.stageChanged(_batch, _stage, _stage.status, _patch.actor, _patch.reason);
    }

    Batch& _batch;
    EngineParts& _parts;
    const StagePatch& _patch;
    Stage _stage;
    Run _run;
};

} // namespace

void patchStage(Engine& engine, const std::string& stageId, const StagePatch& patch)
{
    engine.call<Done>(
        [&](Batch& batch, EngineParts& parts) {
            return StagePatcher(batch, parts, patch, needStage(batch, stageId, patch.ifVersion))
                .apply();
        });
}

} // namespace agent::commands
