#pragma once

#include "agent/run/AttemptSync.h"
#include "agent/run/CleanupWorker.h"
#include "agent/run/EndWaiters.h"
#include "agent/run/Needs.h"
#include "agent/run/RepositoryStages.h"
#include "agent/run/Retries.h"
#include "agent/run/RunFlow.h"
#include "agent/run/StageRunner.h"

namespace agent
{

/// Records how an attempt ended: what its processes did, and what was decided about it before.
/// Threads: the engine's.
class AttemptEnd
{
public:
    AttemptEnd(RunSpecs& specs, RunWriter& writer, Retries& retries, RunFlow& flow, Timers& timers,
               RepositoryStages& repository, EndWaiters& waiters, AttemptSync& sync,
               const StateFolder& state, StageRunner& runner, CleanupWorker& cleanup,
               Caches& caches, Needs& needs)
        : _specs(specs),
          _writer(writer),
          _retries(retries),
          _flow(flow),
          _timers(timers),
          _repository(repository),
          _waiters(waiters),
          _sync(sync),
          _state(state),
          _runner(runner),
          _cleanup(cleanup),
          _caches(caches),
          _needs(needs)
    {
    }

    /// Records the end, plans a retry where the stage's retry says so, and takes the run on. An end of
    /// another attempt than the one at work changes nothing.
    void record(Batch& batch, const Finished& finished);

private:
    void takeOutputs(Batch& batch, Run& run, Stage& stage);
    void takeStages(Batch& batch, Run& run, Stage& stage);
    void takeArtifacts(Batch& batch, const Run& run, Stage& stage, const Outcome& outcome);

    RunSpecs& _specs;
    RunWriter& _writer;
    Retries& _retries;
    RunFlow& _flow;
    Timers& _timers;
    RepositoryStages& _repository;
    EndWaiters& _waiters;
    AttemptSync& _sync;
    const StateFolder& _state;
    StageRunner& _runner;
    CleanupWorker& _cleanup;
    Caches& _caches;
    Needs& _needs;
};

} // namespace agent
