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
    const Stopped stopped = stop(batch, parts, run, Intent::Stop, actor, "stopped");
    if (stopped.awaited.empty())
        return stopped.stages;
    return {stopped.awaited, [stopped](const RecordedEnd& end)
            { return stopped.stages - (stopped.decidedHere && !end.decided ? 1 : 0); }};
}

} // namespace

Stopped stop(Batch& batch, EngineParts& parts, Run& run, Intent intent, const std::string& actor,
             const std::string& reason)
{
    run.stopping = true;
    if (!run.stopCause)
        run.stopCause = causeOf(intent);
    Stopped stopped;
    for (auto& stage : batch.runs.stages(run.id))
    {
        const Transition next = transition(parts.specs.state(stage), StageEvent::Stop);
        if (next.effect == Effect::EndWaiting)
        {
            std::string why = stage.retryAt ? Retries::giveUp(batch, stage) : reason;
            parts.writer.endStage(batch, stage, next.to, causeOf(intent), actor, why);
            ++stopped.stages;
        }
        else if (next.effect == Effect::EndProcesses)
        {
            decideEnd(batch, parts, run, stage, intent, {.reason = reason, .actor = actor});
            stopped.awaited = stage.id;
            stopped.decidedHere = true;
            ++stopped.stages;
        }
        else if (stage.status == Status::InProgress)
            stopped.awaited = stage.id; // its end was decided before: the run ends with it
    }
    if (stopped.awaited.empty())
        parts.flow.advance(batch, run, actor, reason);
    else
        batch.update(run);
    return stopped;
}

int stop(Engine& engine, const std::string& runId, const std::string& actor)
{
    return engine.call<int>([&](Batch& batch, EngineParts& parts)
                            { return apply(batch, parts, runId, actor); });
}

} // namespace agent::commands
