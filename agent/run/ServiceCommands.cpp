#include "agent/run/ServiceCommands.h"

#include "agent/run/Engine.h"

namespace agent::commands
{

std::string serviceId(Engine& engine, const std::string& name)
{
    return engine.call<std::string>([&](Batch& batch, EngineParts&)
                                    { return batch.runs.serviceId(name); });
}

void servicesChanged(Engine& engine)
{
    engine.call<Done>([](Batch&, EngineParts&) { return Done{}; });
}

void drain(Engine& engine, bool on)
{
    engine.call<Done>(
        [on](Batch& batch, EngineParts& parts)
        {
            parts.scheduler.drain(batch, on);
            return Done{};
        });
    servicesChanged(engine); // the queue is looked at with the new rule
}

} // namespace agent::commands
