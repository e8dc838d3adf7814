#include "agent/run/DeleteRun.h"

#include "agent/run/Engine.h"
#include "agent/run/Lookup.h"
#include "agent/run/StageControl.h"
#include "agent/store/TakenSets.h"

#include <algorithm>

namespace agent::commands
{

Run deleteRun(Engine& engine, const std::string& runId, const std::string& actor)
{
    return engine.call<Run>(
        [&](Batch& batch, EngineParts& parts) -> Run
        {
            Run run = needRun(batch, runId);
            const auto stages = batch.runs.stages(runId);
            const bool busy =
                run.status == Status::InProgress || run.status == Status::AwaitingApproval ||
                run.finishing() ||
                std::any_of(stages.begin(), stages.end(),
                            [](const Stage& s) { return s.status == Status::InProgress; });
            if (busy)
                throw Declined::conflict(
                    "run_in_progress",
                    "the run is " + std::string(toString(run.status)) +
                        (run.finishing() ? ", and its last stages are at work" : "") +
                        "; stop it first");
            parts.retention.remove(batch, run, actor, "deleted");
            return run;
        });
}

Stage deleteStage(Engine& engine, const std::string& stageId,
                  const std::optional<Versions>& ifVersion, const Actor& actor)
{
    return engine.call<Stage>(
        [&](Batch& batch, EngineParts& parts) -> Stage
        {
            Stage stage = needStage(batch, stageId, ifVersion);
            if (transition(parts.specs.state(stage), StageEvent::Delete).effect != Effect::Remove)
                throw Declined::conflict("stage_in_progress",
                                         "the stage is IN_PROGRESS; end it first");
            Run run = needRun(batch, stage.runId);
            if (!run.ended())
                needStages(parts, run, stage);
            parts.approvals.needApprover(run, stage, actor);
            batch.runs.removeStage(stageId);
            batch.changedRuns.insert(stage.runId);
            batch.history.append({.at = nowMs(),
                                  .runId = stage.runId,
                                  .stageId = stage.id,
                                  .actor = actor.name,
                                  .from = std::string(toString(stage.status)),
                                  .cause = stage.cause,
                                  .reason = "deleted",
                                  .attempt = stage.attempt});
            if (!run.ended())
                parts.flow.advance(batch, run);
            TakenSets taken(batch.connection);
            std::vector<int> attempts; // whose artifacts nobody was given: Needs does the others
            for (int attempt = 1; attempt <= stage.attempt; ++attempt)
                if (!taken.holdsSet(stage.runId, stage.id, attempt))
                    attempts.push_back(attempt);
            batch.afterCommit.push_back(
                [&parts, stage, attempts, held = taken.holdsStage(stage.runId, stage.id)]
                {
                    if (!held)
                        parts.cleanup.discard(parts.state.stage(stage));
                    for (const int attempt : attempts)
                        parts.cleanup.discardArtifacts(
                            parts.state.artifactSet(stage.runId, stage.id, attempt));
                });
            return stage;
        });
}

} // namespace agent::commands
