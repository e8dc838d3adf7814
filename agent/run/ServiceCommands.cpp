#include "agent/run/ServiceCommands.h"

#include "agent/run/Engine.h"
#include "agent/store/ServiceIds.h"

namespace agent::commands
{

std::string serviceId(Engine& engine, const std::string& name)
{
    return engine.call<std::string>([&](Batch& batch, EngineParts&)
                                    { return ServiceIds(batch.connection).of(name); });
}

void servicesChanged(Engine& engine)
{
    engine.call<Done>(
        [](Batch&, EngineParts& parts)
        {
            parts.queue.servicesChanged();
            return Done{};
        });
}

void drain(Engine& engine, bool on)
{
    engine.call<Done>(
        [on](Batch& batch, EngineParts& parts)
        {
            batch.onRollback([&queue = parts.queue, before = parts.queue.draining()]
                             { queue.drain(before); });
            parts.queue.drain(on);
            return Done{};
        });
}

} // namespace agent::commands
