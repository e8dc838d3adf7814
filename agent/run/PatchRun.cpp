#include "agent/run/PatchRun.h"

#include "agent/run/Engine.h"
#include "agent/run/InputRules.h"
#include "agent/run/Lookup.h"
#include "agent/run/Retention.h"
#include "agent/store/ArtifactSets.h"

namespace agent::commands
{

namespace
{

/// A run that is no longer kept may be due at once; its artifacts have the time of new ones.
void keep(Batch& batch, EngineParts& parts, Run& run, bool kept)
{
    const std::int64_t keepMs = parts.specs.artifactsKeepMs();
    run.kept = kept;
    ArtifactSets(batch.connection)
        .expireAt(run.id, !kept && keepMs > 0 ? std::optional(nowMs() + keepMs) : std::nullopt);
    if (!kept)
        batch.retentionDue.insert(Retention::kinds.begin(), Retention::kinds.end());
}

Done apply(Batch& batch, EngineParts& parts, const std::string& runId, const RunPatch& patch)
{
    Run run = needRun(batch, runId);
    const bool changes = patch.commitHash || patch.commitMessage || patch.committer ||
                         patch.pullNumber || patch.trigger || patch.priority || patch.kept;
    if (!changes)
        return {};
    if (patch.trigger && *patch.trigger != run.trigger && parts.specs.stagesUnread(run))
        throw Declined::conflict("stages_unread",
                                 "the run's other stages stand in its repository and are not read "
                                 "yet: their `when` holds for the trigger of the submission");
    if (batch.history.hasCorrections(runId, bounds::remarks))
        throw Declined::conflict("too_many_remarks", "the run was corrected " +
                                                         std::to_string(bounds::remarks) +
                                                         " times already, which its history keeps");
    run.commitHash = patch.commitHash.value_or(run.commitHash);
    run.commitMessage = patch.commitMessage.value_or(run.commitMessage);
    run.committer = patch.committer.value_or(run.committer);
    if (patch.pullNumber)
        run.pullNumber = patch.pullNumber;
    run.trigger = patch.trigger.value_or(run.trigger);
    run.priority = patch.priority.value_or(run.priority);
    if (patch.kept && *patch.kept != run.kept)
        keep(batch, parts, run, *patch.kept);
    batch.update(run);
    batch.changedRuns.insert(runId);
    const std::string status(toString(run.status));
    batch.history.append({.at = run.updatedAt,
                          .runId = runId,
                          .actor = patch.actor,
                          .from = status,
                          .to = status,
                          .reason = "corrected"});
    parts.reports.ofRun(batch, reportEvents::runChanged, run, patch.actor, "corrected");
    return {};
}

} // namespace

void patchRun(Engine& engine, const std::string& runId, const RunPatch& patch)
{
    engine.call<Done>([&](Batch& batch, EngineParts& parts)
                      { return apply(batch, parts, runId, patch); });
}

} // namespace agent::commands
