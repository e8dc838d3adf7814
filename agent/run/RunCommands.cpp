// What can be asked of the engine about runs, straight down. All of it runs on its thread.
#include "agent/run/Engine.h"

#include "agent/model/Id.h"
#include "agent/run/PipelineParser.h"

#include <algorithm>

namespace agent
{

namespace
{

constexpr std::int64_t idempotencyMs = std::int64_t{24} * 3'600'000;

Declined conflict(const std::string& code, const std::string& message)
{
    return {Declined::Kind::Conflict, code, message};
}

} // namespace

Run Engine::needRun(Batch& batch, const std::string& runId)
{
    auto run = batch.runs.run(runId);
    if (!run)
        throw Declined(Declined::Kind::NotFound, "run_not_found", "there is no run " + runId);
    return *run;
}

Engine::Submitted Engine::submit(const Submission& submission)
{
    return call<Submitted>(
        [this, submission](Batch& batch, const Promise<Submitted>& promise)
        {
            const TimeMs now = nowMs();
            if (!submission.idempotencyKey.empty())
            {
                const auto earlier =
                    batch.runs.submitted(submission.idempotencyKey, now - idempotencyMs);
                if (earlier && earlier->bodyHash != submission.bodyHash)
                    throw conflict("idempotency_key_reused",
                                   "this Idempotency-Key was used for another request");
                if (earlier)
                    if (const auto run = batch.runs.run(earlier->runId))
                        return answer(batch, promise, Submitted{*run, false});
                if (earlier)
                    throw conflict("run_deleted", "the run of this Idempotency-Key was deleted");
            }
            Submitted made = create(batch, submission);
            if (!submission.idempotencyKey.empty())
                batch.runs.remember(submission.idempotencyKey, {made.run.id, submission.bodyHash},
                                    now);
            answer(batch, promise, std::move(made));
        });
}

Engine::Submitted Engine::create(Batch& batch, const Submission& submission)
{
    // Who submits shall look for another host, not wait for this one.
    if (_flow.draining)
        throw Declined(Declined::Kind::Unavailable, "draining",
                       "the agent takes no new runs: it is draining until POST /api/agent/resume "
                       "or a restart");
    Run run;
    run.id = newId();
    run.createdAt = run.updatedAt = nowMs();
    run.commitHash = submission.commit;
    run.commitMessage = submission.commitMessage;
    run.committer = submission.committer;
    run.trigger = submission.trigger;
    run.serviceId = submission.serviceId;
    run.serviceName = submission.serviceName;
    run.branch = submission.branch;
    run.pullNumber = submission.pullNumber;
    run.priority = submission.priority;
    run.pipeline = toJson(submission.pipeline);
    run.wantsSlot = true;
    batch.runs.insert(run);
    batch.history.append({.at = run.createdAt,
                          .runId = run.id,
                          .actor = submission.actor,
                          .to = std::string(toString(run.status)),
                          .reason = "submitted"});
    for (const auto& stage : stagesOf(submission.pipeline, run))
        batch.runs.insert(stage);
    batch.changedRuns.insert(run.id);
    return {run, true};
}

void Engine::patchRun(const std::string& id, const RunPatch& patch)
{
    call<bool>(
        [this, id, patch](Batch& batch, const Promise<bool>& promise)
        {
            Run run = needRun(batch, id);
            run.commitHash = patch.commitHash.value_or(run.commitHash);
            run.commitMessage = patch.commitMessage.value_or(run.commitMessage);
            run.committer = patch.committer.value_or(run.committer);
            if (patch.pullNumber)
                run.pullNumber = patch.pullNumber;
            run.trigger = patch.trigger.value_or(run.trigger);
            run.priority = patch.priority.value_or(run.priority);
            const bool changes = patch.commitHash || patch.commitMessage || patch.committer ||
                                 patch.pullNumber || patch.trigger || patch.priority;
            if (!changes)
                return answer(batch, promise, true);
            batch.runs.update(run);
            batch.changedRuns.insert(id);
            const std::string status(toString(run.status));
            batch.history.append({.at = run.updatedAt,
                                  .runId = id,
                                  .actor = patch.actor,
                                  .from = status,
                                  .to = status,
                                  .reason = "corrected"});
            answer(batch, promise, true);
        });
}

Run Engine::deleteRun(const std::string& id, const std::string& actor)
{
    return call<Run>(
        [this, id, actor](Batch& batch, const Promise<Run>& promise)
        {
            const Run run = needRun(batch, id);
            const auto stages = batch.runs.stages(id);
            const bool busy =
                run.status == Status::InProgress || run.status == Status::AwaitingApproval ||
                std::any_of(stages.begin(), stages.end(),
                            [](const Stage& s) { return s.status == Status::InProgress; });
            if (busy)
                throw conflict("run_in_progress", "the run is " +
                                                      std::string(toString(run.status)) +
                                                      "; stop it first");
            _housekeeping.remove(batch, run, actor, "deleted");
            answer(batch, promise, run);
        });
}

int Engine::stopRun(const std::string& id, const std::string& actor)
{
    return call<int>(
        [this, id, actor](Batch& batch, const Promise<int>& promise)
        {
            Run run = needRun(batch, id);
            if (run.ended())
                return answer(batch, promise, 0);
            run.stopping = true;
            int stopped = 0;
            bool decidedHere = false;
            std::string awaited; // the stage whose processes must go first
            for (auto& stage : batch.runs.stages(id))
            {
                const Transition next = transition(_flow.state(stage), StageEvent::Stop);
                if (next.effect == Effect::EndWaiting)
                {
                    _flow.endWithoutProcess(batch, stage, next.to, Cause::Stopped, actor,
                                            "stopped");
                    ++stopped;
                }
                else if (next.effect == Effect::EndProcesses)
                {
                    decide(batch, run, stage, Intent::Stop, {.reason = "stopped", .actor = actor});
                    awaited = stage.id;
                    decidedHere = true;
                    ++stopped;
                }
                else if (stage.retryAt)
                {
                    stage.retryAt.reset();
                    batch.runs.update(stage);
                }
                else if (stage.status == Status::InProgress)
                    awaited = stage.id; // its end was decided before: the run ends with it
            }
            if (awaited.empty())
            {
                _flow.endRun(batch, run, Status::Failure, actor, "stopped");
                return answer(batch, promise, stopped);
            }
            mayWait(batch);
            batch.runs.update(run);
            batch.afterCommit.push_back(
                [this, awaited, promise, stopped, decidedHere]
                {
                    await(awaited,
                          [promise, stopped, decidedHere](const RecordedEnd* end,
                                                          const std::exception_ptr& instead)
                          {
                              if (!end)
                                  return promise->set_exception(instead);
                              promise->set_value(decidedHere && !end->decided ? stopped - 1
                                                                              : stopped);
                          });
                });
        });
}

std::string Engine::rerun(const std::string& id, const std::string& actor)
{
    return call<std::string>(
        [this, id, actor](Batch& batch, const Promise<std::string>& promise)
        {
            const Run run = needRun(batch, id);
            if (!run.ended())
                throw conflict("run_not_ended", "the run is " + std::string(toString(run.status)) +
                                                    "; only an ended run can be run again");
            const Submitted made = create(batch, {.pipeline = pipelineFromJson(run.pipeline),
                                                  .serviceId = run.serviceId,
                                                  .serviceName = run.serviceName,
                                                  .commit = run.commitHash,
                                                  .branch = run.branch,
                                                  .commitMessage = run.commitMessage,
                                                  .committer = run.committer,
                                                  .trigger = run.trigger,
                                                  .pullNumber = run.pullNumber,
                                                  .priority = run.priority,
                                                  .actor = actor});
            answer(batch, promise, made.run.id);
        });
}

void Engine::approve(const std::string& runId, const std::string& actor)
{
    call<bool>(
        [this, runId, actor](Batch& batch, const Promise<bool>& promise)
        {
            Run run = needRun(batch, runId);
            for (auto& stage : batch.runs.stages(runId))
            {
                if (stage.status != Status::AwaitingApproval)
                    continue;
                startByHand(batch, run, stage, {.reason = "approved", .actor = actor});
                _flow.advance(batch, run);
                return answer(batch, promise, true);
            }
            throw conflict("nothing_to_approve",
                           "no stage of the run awaits approval; the run is " +
                               std::string(toString(run.status)));
        });
}

std::string Engine::serviceId(const std::string& name)
{
    return call<std::string>([name](Batch& batch, const Promise<std::string>& promise)
                             { answer(batch, promise, batch.runs.serviceId(name)); });
}

void Engine::lookAgain()
{
    call<bool>([](Batch& batch, const Promise<bool>& promise) { answer(batch, promise, true); });
}

void Engine::drain(bool on)
{
    call<bool>(
        [this, on](Batch& batch, const Promise<bool>& promise)
        {
            batch.afterCommit.push_back([this, on] { _flow.draining = on; });
            answer(batch, promise, true);
        });
    lookAgain(); // this time with the new rule
}

} // namespace agent
