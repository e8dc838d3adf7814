#pragma once

#include "agent/run/Approvals.h"
#include "agent/run/AttemptSync.h"
#include "agent/run/ExternalStages.h"
#include "agent/run/Retries.h"
#include "agent/run/RunFlow.h"
#include "agent/run/StageStarter.h"
#include "agent/run/StuckWatch.h"

namespace agent
{

/// Takes up what was open when the last daemon ended. Source: design, "At start (Recovery)".
/// Threads: the engine's.
class Recovery
{
public:
    Recovery(RunSpecs& specs, Retries& retries, Approvals& approvals,
             ExternalStages& externalStages, StuckWatch& stuckWatch, StageStarter& starter,
             RunFlow& flow, AttemptSync& sync, const StateFolder& state, StageRunner& runner,
             Caches& caches, Workspaces& workspaces, Needs& needs)
        : _specs(specs),
          _retries(retries),
          _approvals(approvals),
          _externalStages(externalStages),
          _stuckWatch(stuckWatch),
          _starter(starter),
          _flow(flow),
          _sync(sync),
          _state(state),
          _runner(runner),
          _caches(caches),
          _workspaces(workspaces),
          _needs(needs)
    {
    }

    void recover(Batch& batch);

private:
    void sortUnsynced(Batch& batch);
    [[nodiscard]] RecordedLaunch launchOf(const Run& run, const Stage& stage);
    void recoverStage(Batch& batch, Run& run, Stage& stage);

    RunSpecs& _specs;
    Retries& _retries;
    Approvals& _approvals;
    ExternalStages& _externalStages;
    StuckWatch& _stuckWatch;
    StageStarter& _starter;
    RunFlow& _flow;
    AttemptSync& _sync;
    const StateFolder& _state;
    StageRunner& _runner;
    Caches& _caches;
    Workspaces& _workspaces;
    Needs& _needs;
};

} // namespace agent
