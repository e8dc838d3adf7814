#include "agent/run/Recovery.h"

#include "agent/process/AttemptFolder.h"

namespace agent
{

void Recovery::recover(Batch& batch)
{
    sortUnsynced(batch);
    _caches.recover(batch);
    _workspaces.recover(batch);
    _needs.recover(batch);
    const auto runs = batch.runs.openRuns();
    for (const auto& open : runs)
        batch.queue.set(open.seq, QueuedRun::of(open));
    for (const auto& open : runs)
    {
        if (open.status == Status::Idle && open.wantsSlot)
            continue; // it waits for a slot and has nothing to recover
        const auto error = batch.attempt(
            [&]
            {
                auto run = batch.runs.run(open.id);
                for (auto& stage : batch.runs.stages(run->id))
                    recoverStage(batch, *run, stage);
                // A run that had just ended a stage, or was given a slot, goes on from there.
                _flow.advance(batch, *run);
            });
        if (error)
            _flow.abandon(batch, open.id, textOf(error));
    }
}

/// What was not synced when the last daemon ended: to be synced now, or lost with the boot it was written in.
/// A running attempt is left to its end.
void Recovery::sortUnsynced(Batch& batch)
{
    const std::string boot = bootId();
    for (const auto& [stageId, number] : batch.runs.unsynced())
    {
        const auto attempt = batch.runs.attempt(stageId, number);
        if (!attempt || attempt->status == Status::InProgress)
            continue;
        if (attempt->bootId == boot)
        {
            _sync.add(batch, *attempt);
            continue;
        }
        std::string notes = attempt->notes;
        if (AttemptFolder(_state.attempt(*attempt, number)).logIsCut(attempt->logBytes))
            notes += (notes.empty() ? "" : ",") + std::string(toString(Cause::LogCutByPowerLoss));
        batch.runs.setLost(stageId, number, notes);
        batch.changedRuns.insert(attempt->runId);
    }
}

RecordedLaunch Recovery::launchOf(const Run& run, const Stage& stage)
{
    RecordedLaunch launch{
        .bootId = stage.bootId, .seal = sealOf(stage), .timeoutMs = _specs.timeoutMs(run, stage)};
    if (stage.shimPid != 0)
        launch.shim = Claim{.pid = stage.shimPid,
                            .startTime = static_cast<std::uint64_t>(stage.shimStart),
                            .bootId = stage.bootId,
                            .startedAt = stage.startedAt.value_or(0)};
    return launch;
}

void Recovery::recoverStage(Batch& batch, Run& run, Stage& stage)
{
    if (stage.status == Status::Idle && stage.retryAt)
        return _retries.resume(batch, run, stage);
    if (stage.status == Status::AwaitingApproval)
        return _approvals.resume(batch, run, stage);
    if (stage.status != Status::InProgress)
        return;
    if (_specs.external(stage))
        return _externalStages.watch(batch, run, stage);

    const bool stopping = stage.intent != Intent::None;
    if (_runner.resume(stage.id, stage.attempt, _state.attempt(stage, stage.attempt),
                       launchOf(run, stage), _specs.graceMs(run, stage), stopping))
    {
        if (stage.shimPid == 0)
            _starter.recordShim(batch, stage);
        return _stuckWatch.watch(batch, run, stage);
    }
    // Nothing of it was executed: the daemon died between its commit and the launch.
    if (stopping)
        batch.afterCommit.push_back(
            [this, id = stage.id, attempt = stage.attempt]
            { _runner.refuse(id, attempt, Cause::Stopped, "stopped before it began"); });
    else
        _starter.launch(batch, run, stage, batch.runs.stages(run.id));
}

} // namespace agent
