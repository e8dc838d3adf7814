#pragma once

#include "agent/run/Approvals.h"
#include "agent/run/AttemptEnd.h"
#include "agent/run/AttemptSync.h"
#include "agent/run/Caches.h"
#include "agent/run/CleanupWorker.h"
#include "agent/run/DiskRelief.h"
#include "agent/run/DiskSpace.h"
#include "agent/run/EndWaiters.h"
#include "agent/run/EngineOptions.h"
#include "agent/run/ExternalStages.h"
#include "agent/run/Needs.h"
#include "agent/run/Queue.h"
#include "agent/run/Recovery.h"
#include "agent/run/Reports.h"
#include "agent/run/RepositoryStages.h"
#include "agent/run/Retention.h"
#include "agent/run/Retries.h"
#include "agent/run/RunFlow.h"
#include "agent/run/RunSpecs.h"
#include "agent/run/RunWriter.h"
#include "agent/run/Scheduler.h"
#include "agent/run/ServiceCatalog.h"
#include "agent/run/StageRunner.h"
#include "agent/run/StageStarter.h"
#include "agent/run/StateFolder.h"
#include "agent/run/StuckWatch.h"
#include "agent/run/Timers.h"
#include "agent/run/Workspaces.h"

namespace agent
{

/// What the engine consists of beside its mailbox, wired up once. A part knows only those above it.
/// Commands (SubmitRun, PatchStage, StopRun …) use them on a Batch.
/// Threads: the engine's, but for what a part says otherwise.
struct EngineParts
{
    EngineParts(EngineOptions engineOptions, const StateFolder& stateFolder,
                const PluginRegistry& plugins, const ServiceCatalog& services,
                StageRunner& stageRunner, CleanupWorker& worker)
        : options(std::move(engineOptions)),
          state(stateFolder),
          runner(stageRunner),
          cleanup(worker),
          queue(options.slots,
                [&services](const std::string& name)
                {
                    const auto service = services.find(name);
                    return service ? service->concurrency : 1;
                }),
          disk(state, options.disk),
          waiters(runner),
          sync(state, runner),
          specs(options, plugins),
          reports(specs, options.reports),
          caches(specs, state, options.caches),
          workspaces(specs, state, cleanup, caches, options.slots),
          needs(specs, state, services, cleanup),
          writer(specs, reports, caches, needs),
          approvals(specs, writer, timers),
          externalStages(specs, writer, timers),
          stuckWatch(specs, writer, timers, state, runner),
          starter(specs, writer, externalStages, stuckWatch, state, plugins, runner, timers, caches,
                  workspaces, needs),
          flow(specs, writer, approvals, starter, disk),
          retries(specs, writer, timers),
          repository(specs, reports, plugins, state),
          attemptEnd(specs, writer, retries, flow, timers, repository, waiters, sync, state, runner,
                     cleanup, caches, needs),
          recovery(specs, retries, approvals, externalStages, stuckWatch, starter, flow, sync,
                   state, runner, caches, workspaces, needs),
          retention(options.retention, state, cleanup, timers, caches, workspaces),
          relief(disk, caches, retention),
          scheduler(queue, disk, relief, flow, timers)
    {
    }

    const EngineOptions options;
    const StateFolder& state;
    StageRunner& runner;
    CleanupWorker& cleanup;
    Queue queue;
    DiskSpace disk;
    Timers timers;
    EndWaiters waiters;
    AttemptSync sync;
    RunSpecs specs;
    Reports reports;
    Caches caches;
    Workspaces workspaces;
    Needs needs;
    RunWriter writer;
    Approvals approvals;
    ExternalStages externalStages;
    StuckWatch stuckWatch;
    StageStarter starter;
    RunFlow flow;
    Retries retries;
    RepositoryStages repository;
    AttemptEnd attemptEnd;
    Recovery recovery;
    Retention retention;
    DiskRelief relief;
    Scheduler scheduler;

    /// Does what `timer` was set for.
    void due(Batch& batch, const Timer& timer);
};

} // namespace agent
