#include "agent/run/ReportCommands.h"

#include "agent/run/Engine.h"
#include "agent/store/OutboxStore.h"

namespace agent::commands
{

void removeReports(Engine& engine, const std::vector<std::int64_t>& seqs)
{
    engine.call<Done>(
        [&seqs](Batch& batch, EngineParts&)
        {
            OutboxStore outbox(batch.connection);
            for (const std::int64_t seq : seqs)
                outbox.remove(seq);
            return Done{};
        });
}

void updateReport(Engine& engine, std::int64_t seq, const std::string& body)
{
    engine.call<Done>(
        [&](Batch& batch, EngineParts&)
        {
            OutboxStore(batch.connection).update(seq, body);
            return Done{};
        });
}

int removeReportsOf(Engine& engine, const std::string& target)
{
    return engine.call<int>([&target](Batch& batch, EngineParts&)
                            { return OutboxStore(batch.connection).removeAll(target); });
}

} // namespace agent::commands
