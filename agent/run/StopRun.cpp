#include "agent/run/StopRun.h"

#include "agent/run/Engine.h"
#include "agent/run/Lookup.h"
#include "agent/run/StageControl.h"

namespace agent::commands
{

namespace
{

Answer<int> apply(Batch& batch, EngineParts& parts, const std::string& runId,
                  const std::string& actor)
{
    Run run = needRun(batch, runId);
    if (run.ended())
        return 0;
    run.stopping = true;
    int stopped = 0;
    bool decidedHere = false;
    std::string awaited; // the stage whose processes must go first
    for (auto& stage : batch.runs.stages(runId))
    {
        const Transition next = transition(parts.specs.state(stage), StageEvent::Stop);
        if (next.effect == Effect::EndWaiting)
        {
            const std::string why = stage.retryAt ? Retries::giveUp(batch, stage) : "stopped";
            parts.writer.endStage(batch, stage, next.to, Cause::Stopped, actor, why);
            ++stopped;
        }
        else if (next.effect == Effect::EndProcesses)
        {
            decideEnd(batch, parts, run, stage, Intent::Stop,
                      {.reason = "stopped", .actor = actor});
            awaited = stage.id;
            decidedHere = true;
            ++stopped;
        }
        else if (stage.status == Status::InProgress)
            awaited = stage.id; // its end was decided before: the run ends with it
    }
    if (awaited.empty())
    {
        parts.writer.endRun(batch, run, Status::Failure, actor, "stopped");
        return stopped;
    }
    batch.update(run);
    return {awaited, [stopped, decidedHere](const RecordedEnd& end)
            { return decidedHere && !end.decided ? stopped - 1 : stopped; }};
}

} // namespace

int stop(Engine& engine, const std::string& runId, const std::string& actor)
{
    return engine.call<int>([&](Batch& batch, EngineParts& parts)
                            { return apply(batch, parts, runId, actor); });
}

} // namespace agent::commands
