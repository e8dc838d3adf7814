#pragma once

#include "agent/run/Approvals.h"
#include "agent/run/DiskSpace.h"
#include "agent/run/RunWriter.h"
#include "agent/run/StageStarter.h"

#include <string>
#include <vector>

namespace agent
{

/// How a run goes from stage to stage. Lifecycle has the rules of one stage, this those between them:
/// docs/conditions.md.
/// Threads: the engine's.
class RunFlow
{
public:
    RunFlow(RunSpecs& specs, RunWriter& writer, Approvals& approvals, StageStarter& starter,
            const DiskSpace& disk)
        : _specs(specs), _writer(writer), _approvals(approvals), _starter(starter), _disk(disk)
    {
    }

    /// Takes `run`, which has not ended, as far as it can go without waiting: starts the next stage, requests an
    /// approval, queues the run for a slot, or ends it. Where it has failed or is being stopped, its status is
    /// FAILURE at once, and what runs after a failure comes next. Writes the run.
    /// `actor`, `reason`: of the end, if it comes to that.
    void advance(Batch& batch, Run& run, const std::string& actor = agentActor,
                 const std::string& reason = "");

    /// Ends a run that can't go on through a fault of the agent: its next stage is FAILURE, cause
    /// PLUGIN_ERROR. Nothing runs after that.
    void abandon(Batch& batch, const std::string& runId, const std::string& why);

private:
    [[nodiscard]] bool cutShort(const Run& run, const std::vector<Stage>& stages);
    void keepOn(Batch& batch, Run& run, const Stage& working, Status status);
    Stage* nextOf(Batch& batch, const Run& run, std::vector<Stage>& stages, bool failed);
    void begin(Batch& batch, Run& run, std::vector<Stage>& stages, Stage& next);

    RunSpecs& _specs;
    RunWriter& _writer;
    Approvals& _approvals;
    StageStarter& _starter;
    const DiskSpace& _disk;
};

} // namespace agent
