#include "agent/run/ApproveRun.h"

#include "agent/run/Engine.h"
#include "agent/run/Lookup.h"
#include "agent/run/StageControl.h"

namespace agent::commands
{

namespace
{

Done apply(Batch& batch, EngineParts& parts, const std::string& runId, const Actor& actor)
{
    Run run = needRun(batch, runId);
    for (auto& stage : batch.runs.stages(runId))
    {
        if (stage.status != Status::AwaitingApproval)
            continue;
        startByHand(batch, parts, run, stage, actor, "approved");
        parts.flow.advance(batch, run);
        return {};
    }
    throw Declined::conflict("nothing_to_approve",
                             "no stage of the run awaits approval; the run is " +
                                 std::string(toString(run.status)));
}

} // namespace

void approve(Engine& engine, const std::string& runId, const Actor& actor)
{
    engine.call<Done>([&](Batch& batch, EngineParts& parts)
                      { return apply(batch, parts, runId, actor); });
}

} // namespace agent::commands
