#include "agent/run/AttemptSync.h"

#include "agent/process/AttemptFolder.h"
#include "agent/process/ProcessTree.h"
#include "agent/run/RunWorkspace.h"

#include <algorithm>

namespace agent
{

bool workspaceLost(const std::vector<Stage>& stages)
{
    return std::any_of(stages.begin(), stages.end(),
                       [](const Stage& stage) { return stage.synced == Sync::Lost; });
}

AttemptSync::AttemptSync(const StateFolder& state, StageRunner& runner)
    : _state(state), _bootId(bootId()), _worker([&runner] { runner.wake(); })
{
}

void AttemptSync::ended(Batch& batch, Stage& stage, const Outcome& outcome)
{
    if (stage.bootId.empty())
        return; // launched by a daemon whose shims sync by themselves
    stage.synced = Sync::Pending;
    if (outcome.synced)
        stage.synced = Sync::OnDisk;
    else if (stage.bootId != _bootId)
    {
        stage.synced = Sync::Lost;
        if (AttemptFolder(_state.attempt(stage, stage.attempt)).logIsCut(stage.logBytes))
            stage.notes +=
                (stage.notes.empty() ? "" : ",") + std::string(toString(Cause::LogCutByPowerLoss));
    }
    else
        add(batch, stage);
}

void AttemptSync::add(Batch& batch, const Stage& stage)
{
    batch.afterCommit.push_back(
        [this,
         written = UnsyncedAttempt{.stageId = stage.id,
                                   .attempt = stage.attempt,
                                   .folder = _state.attempt(stage, stage.attempt),
                                   .workspace = workspaceOf(batch.connection, _state, stage.runId)}]
        { _worker.add(written); });
}

std::vector<SyncWorker::Result> AttemptSync::finish(std::chrono::milliseconds patience)
{
    _worker.finish(patience);
    return _worker.take();
}

void AttemptSync::record(Batch& batch, const SyncWorker::Result& result)
{
    if (result.error.empty())
        batch.runs.setSynced(result.stageId, result.attempt);
    else
        batch.log.push_back(result.error);
}

} // namespace agent
