#pragma once

#include "agent/run/Approvals.h"
#include "agent/run/DiskSpace.h"
#include "agent/run/RunWriter.h"
#include "agent/run/StageStarter.h"

#include <string>

namespace agent
{

/// How a run goes from stage to stage. Lifecycle has the rules of one stage, this those between them.
/// Threads: the engine's.
class RunFlow
{
public:
    RunFlow(RunSpecs& specs, RunWriter& writer, Approvals& approvals, StageStarter& starter,
            const DiskSpace& disk)
        : _specs(specs), _writer(writer), _approvals(approvals), _starter(starter), _disk(disk)
    {
    }

    /// Takes `run` as far as it can go without waiting: starts the next stage, requests an approval,
    /// queues the run for a slot, or ends it. Writes the run.
    void advance(Batch& batch, Run& run);

    /// Ends a run that can't go on through a fault of the agent: its next stage is FAILURE, cause
    /// PLUGIN_ERROR.
    void abandon(Batch& batch, const std::string& runId, const std::string& why);

private:
    RunSpecs& _specs;
    RunWriter& _writer;
    Approvals& _approvals;
    StageStarter& _starter;
    const DiskSpace& _disk;
};

} // namespace agent
