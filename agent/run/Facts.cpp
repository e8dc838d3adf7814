// What the engine tells of itself and of what runs.
#include "agent/run/Engine.h"

#include <Poco/Exception.h>

namespace agent
{

void Engine::refreshFacts()
{
    Facts facts{.slots = _options.slots,
                .draining = _flow.draining,
                .alive = true,
                .cgroup = _executions.cgroup().available(),
                .counts = _flow.counts};
    try
    {
        RunStore runs(_database.writer());
        for (const auto& run : runs.openRuns())
        {
            facts.running += run.holdsSlot ? 1 : 0;
            facts.queued += run.wantsSlot ? 1 : 0;
        }
        for (const auto& undying : _executions.allUndying())
            if (const auto stage = runs.stage(undying.stageId))
                facts.setAside.push_back(
                    {stage->id, stage->runId, undying.processes, undying.since});
    }
    catch (const Poco::Exception&)
    {
        facts.alive = false;
    }
    const std::lock_guard lock(_mutex);
    _facts = facts;
}

Engine::Facts Engine::facts() const
{
    Facts facts;
    {
        const std::lock_guard lock(_mutex);
        facts = _facts;
    }
    facts.freeBytes = _state.freeBytes();
    facts.diskLow = _flow.diskLow();
    return facts;
}

std::vector<ProcessInfo> Engine::processes(const Stage& stage) const
{
    if (stage.status != Status::InProgress || stage.attempt == 0)
        return {};
    try
    {
        return processesOf(_state.attempt(stage, stage.attempt));
    }
    catch (const std::exception&)
    {
        return {}; // its folder is spoilt or gone: nobody knows any more what belongs to it
    }
}

} // namespace agent
