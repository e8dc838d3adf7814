#include "agent/run/StageControl.h"

#include "agent/run/AttemptSync.h"
#include "agent/run/RunWorkspace.h"

#include "agent/model/Conditions.h"
#include "agent/model/Declined.h"

#include <algorithm>
#include <filesystem>

namespace agent::commands
{

std::optional<Stage> unfinishedBefore(Batch& batch, const Stage& stage)
{
    const auto stages = batch.runs.stages(stage.runId);
    const auto found = std::find_if(stages.begin(), stages.end(),
                                    [](const Stage& other) { return !other.done(); });
    if (found == stages.end() || found->ordinal >= stage.ordinal)
        return std::nullopt;
    return *found;
}

void needWorkspace(Batch& batch, const EngineParts& parts, const Run& run)
{
    // Only an ended run can be rerun.
    const std::string instead =
        run.ended() ? "rerun the run instead" : "stop the run, then rerun it";
    if (workspaceLost(batch.runs.stages(run.id)))
        throw Declined::conflict("workspace_unsynced",
                                 "the host went down before all files of the run's workspace were "
                                 "on disk, so some may be lost; " +
                                     instead);
    const auto workspace = workspaceOf(batch.connection, parts.state, run.id);
    if (workspace.empty())
        throw Declined::conflict("workspace_reused",
                                 "the run's workspace is kept for its service, and another run has "
                                 "had it since; " +
                                     instead);
    if (std::filesystem::is_directory(workspace))
        return;
    for (const auto& stage : batch.runs.stages(run.id))
    {
        const bool neverRan = stage.cause == Cause::SpawnError ||
                              stage.cause == Cause::PluginError ||
                              stage.cause == Cause::PluginMissing ||
                              (stage.cause == Cause::DiskFull && !stage.exitCode && !stage.signal);
        if (stage.attempt > 0 && !neverRan && !parts.specs.external(stage))
            throw Declined::conflict("workspace_gone",
                                     "the run's workspace was removed; " + instead);
    }
}

void needStages(const EngineParts& parts, const Run& run, const Stage& stage)
{
    if (stage.ordinal == 0 && parts.specs.stagesUnread(run))
        throw Declined::conflict("stages_unread",
                                 "the run's other stages stand in its repository, and this one is "
                                 "to read them: without it the run would do nothing");
}

void needNotFinishing(const Run& run)
{
    if (run.finishing())
        throw Declined::conflict("run_finishing",
                                 "the run has failed, and its stages with `run: always` or "
                                 "`run: failure` are at work: wait for their end, or stop the run");
}

void clearLastStages(Batch& batch, EngineParts& parts, const Run& run, int ordinal,
                     const Actor& actor, const std::string& reason)
{
    for (auto& stage : batch.runs.stages(run.id))
    {
        if (stage.ordinal <= ordinal ||
            parts.specs.stage(run, stage).when.run == RunsAfter::Success ||
            (!stage.ended() && stage.skipped != noFailure))
            continue;
        const Status from = stage.status;
        if (stage.ended())
            batch.runs.keepAttempt(stage);
        stage.skipped.clear();
        stage.status = transition(parts.specs.state(stage), StageEvent::Reset).to;
        stage.clearEnd();
        batch.runs.update(stage);
        if (from != stage.status)
            parts.writer.stageChanged(batch, stage, from, actor.name, reason);
    }
}

void startByHand(Batch& batch, EngineParts& parts, Run& run, Stage& stage, const Actor& actor,
                 const std::string& reason)
{
    needNotFinishing(run);
    if (run.stopping)
        throw Declined::conflict("run_stopping", "the run is being stopped; wait for its end");
    if (const auto other = unfinishedBefore(batch, stage))
        throw Declined::conflict("stage_not_due",
                                 "the stage can't start: " + other->name + " before it is " +
                                     std::string(toString(other->status)) +
                                     (other->status == Status::Failure
                                          ? "; make that one IDLE to try it again, or SUCCESS to "
                                            "accept it"
                                          : ""));
    if (run.ended() || !parts.specs.external(stage))
        needWorkspace(batch, parts, run);
    if (!parts.specs.external(stage) && parts.disk.low())
        throw Declined::unavailable("disk_low", "the disk of the state folder is " +
                                                    parts.disk.lack() +
                                                    ": free some space and try again");
    parts.approvals.needApprover(run, stage, actor);
    stage.approved = true;
    if (run.ended())
    {
        clearLastStages(batch, parts, run, stage.ordinal, actor, reason);
        run.endedAt.reset();
        run.stopCause.reset();
        parts.writer.setStatus(batch, run, Status::InProgress, actor.name, reason);
    }
    parts.starter.start(batch, run, stage, batch.runs.stages(run.id), StageEvent::PatchInProgress,
                        actor.name, reason);
}

void decideEnd(Batch& batch, EngineParts& parts, const Run& run, Stage& stage, Intent intent,
               const StagePatch& patch)
{
    const TimeMs started = patch.startedAt.value_or(*stage.startedAt);
    if (patch.endedAt && *patch.endedAt < started)
        throw Declined::invalid("endedAt", "endedAt is before startedAt");
    if (patch.durationSeconds && !patch.endedAt)
        throw Declined::invalid("duration", "give endedAt with the duration: the end of a running "
                                            "stage is not yet known");
    if (patch.durationSeconds && *patch.durationSeconds != ceilSeconds(started, *patch.endedAt))
        throw Declined::invalid("duration",
                                "duration is not endedAt - startedAt, rounded up: " +
                                    std::to_string(ceilSeconds(started, *patch.endedAt)));
    stage.intent = intent;
    stage.intentActor = patch.actor;
    stage.intentReason = parts.specs.masked(batch, stage.runId, patch.reason);
    // Who gives end and duration says by that when it started; the shim's own time differs by a moment.
    stage.intentStartedAt = patch.durationSeconds ? started : patch.startedAt;
    stage.intentEndedAt = patch.endedAt;
    batch.runs.update(stage);
    batch.changedRuns.insert(run.id);
    batch.afterCommit.push_back(
        [&runner = parts.runner, id = stage.id, grace = parts.specs.graceMs(run, stage)]
        { runner.stop(id, grace); });
}

} // namespace agent::commands
