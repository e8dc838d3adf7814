#include "agent/run/RunWriter.h"

#include "agent/process/ProcessTree.h"

#include <algorithm>

namespace agent
{

void RunWriter::endRun(Batch& batch, Run& run, Status status, const std::string& actor,
                       const std::string& reason)
{
    run.endedAt = run.endOf(nowMs(), bootTime());
    run.holdsSlot = run.wantsSlot = run.resumed = run.stopping = false;
    if (status == Status::Success)
        run.stopCause.reset(); // the stop came too late
    batch.runEndedAt = std::min(*run.endedAt, batch.runEndedAt.value_or(*run.endedAt));
    write(batch, run, status, reportEvents::runEnded, actor, reason);
    if (status == Status::Success)
    {
        _caches.runEnded(batch, run);
        _needs.runEnded(batch, run);
    }
    batch.afterCommit.push_back([this, id = run.id] { _specs.release(id); });
}

void RunWriter::setStatus(Batch& batch, Run& run, Status status, const std::string& actor,
                          const std::string& reason)
{
    write(batch, run, status, reportEvents::runChanged, actor, reason);
}

void RunWriter::write(Batch& batch, Run& run, Status status, const char* event,
                      const std::string& actor, const std::string& reason)
{
    const Status from = run.status;
    run.status = status;
    batch.update(run, from == status && !run.ended());
    batch.changedRuns.insert(run.id);
    if (from == status && !run.ended())
        return;
    const std::string shown = _specs.masked(batch, run.id, reason);
    // The end of a run that had failed before says nothing new: its stages do.
    if (from != status)
        batch.history.append({.at = run.updatedAt,
                              .runId = run.id,
                              .actor = actor,
                              .from = std::string(toString(from)),
                              .to = std::string(toString(status)),
                              .reason = shown});
    _reports.ofRun(batch, event, run, actor, shown);
}

void RunWriter::commitResolved(Batch& batch, const Run& run)
{
    _reports.ofRun(batch, reportEvents::runChanged, run, agentActor, "commit resolved");
}

void RunWriter::stageChanged(Batch& batch, const Stage& stage, Status from,
                             const std::string& actor, const std::string& reason)
{
    batch.changedRuns.insert(stage.runId);
    if (stage.ended() && stage.status != from && stage.cause)
        batch.endedStages.push_back({.runId = stage.runId,
                                     .type = stage.type,
                                     .status = stage.status,
                                     .cause = *stage.cause,
                                     .durationMs = stage.durationMs()});
    if (stage.ended())
        batch.stageEndedAt =
            std::min(stage.updatedAt, batch.stageEndedAt.value_or(stage.updatedAt));
    const std::string shown = _specs.masked(batch, stage.runId, reason);
    batch.history.append({.at = stage.updatedAt,
                          .runId = stage.runId,
                          .stageId = stage.id,
                          .actor = actor,
                          .from = std::string(toString(from)),
                          .to = std::string(toString(stage.status)),
                          .cause = stage.cause,
                          .reason = shown,
                          .attempt = stage.attempt});
    _reports.ofStage(batch, stage, from != Status::InProgress && stage.status == Status::InProgress,
                     actor, shown);
}

void RunWriter::endStage(Batch& batch, Stage& stage, Status status, Cause cause,
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
    stage.message = _specs.masked(batch, stage.runId, reason);
    stage.retryAt.reset();
    stage.expiresAt.reset();
    batch.runs.update(stage);
    stageChanged(batch, stage, from, actor, reason);
}

} // namespace agent
