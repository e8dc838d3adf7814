#pragma once

#include "agent/process/ProcessTree.h"
#include "agent/run/Caches.h"
#include "agent/run/ExternalStages.h"
#include "agent/run/Needs.h"
#include "agent/run/RunWriter.h"
#include "agent/run/StageRunner.h"
#include "agent/run/StateFolder.h"
#include "agent/run/StuckWatch.h"
#include "agent/run/Timers.h"
#include "agent/run/Workspaces.h"

#include <string>
#include <vector>

namespace agent
{

class PluginRegistry;

/// Starts a stage's next attempt. Threads: the engine's.
class StageStarter
{
public:
    StageStarter(RunSpecs& specs, RunWriter& writer, ExternalStages& externalStages,
                 StuckWatch& stuckWatch, const StateFolder& state, const PluginRegistry& plugins,
                 StageRunner& runner, Timers& timers, Caches& caches, Workspaces& workspaces,
                 Needs& needs)
        : _specs(specs),
          _writer(writer),
          _externalStages(externalStages),
          _stuckWatch(stuckWatch),
          _state(state),
          _plugins(plugins),
          _runner(runner),
          _timers(timers),
          _caches(caches),
          _workspaces(workspaces),
          _needs(needs)
    {
    }

    /// Starts the stage now, whether or not a slot is free. `event` is what starts it, `stages` are all of the run. Writes
    /// the stage and sets the run's use of slots; the run is written by the caller.
    void start(Batch& batch, Run& run, Stage& stage, const std::vector<Stage>& stages,
               StageEvent event, const std::string& actor, const std::string& reason);

    /// Launches the attempt that the record calls running, after the commit.
    [[nodiscard]] std::string isolationProblem(const PipelineSpec& pipeline, const Run& run) const;
    void launch(Batch& batch, const Run& run, const Stage& stage, const std::vector<Stage>& stages);

    /// Has the stage's shim put on record, when it has run for a moment: a stage that takes its claim away is
    /// known by that. A stage that is short costs nothing for it.
    void recordShim(Batch& batch, const Stage& stage);

private:
    RunSpecs& _specs;
    RunWriter& _writer;
    ExternalStages& _externalStages;
    StuckWatch& _stuckWatch;
    const StateFolder& _state;
    const PluginRegistry& _plugins;
    StageRunner& _runner;
    Timers& _timers;
    Caches& _caches;
    Workspaces& _workspaces;
    Needs& _needs;
    const std::string _bootId = bootId();
};

} // namespace agent
