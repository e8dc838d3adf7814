// `stagectl hooks`.
#include "agent/ctl/Cells.h"
#include "agent/ctl/Commands.h"
#include "agent/ctl/Json.h"
#include "agent/ctl/Listing.h"
#include "agent/ctl/Table.h"

#include <Poco/String.h>

namespace agent::ctl
{

Exit listHooks(const Session& session, std::int64_t limit)
{
    const std::string path = "/api/hooks/deliveries?limit=" + std::to_string(limit);
    const Listing deliveries(session.agents, Listing::Of::Lists,
                             [&](const Client& client) { return client.ask({.path = path}); });
    if (session.json)
        return deliveries.end(deliveries.json());
    Table table(
        deliveries.headings({"RECEIVED", "FORGE", "EVENT", "REF", "OUTCOME", "REPOSITORY"}));
    for (const Entry& entry : deliveries.entries())
    {
        const rapidjson::Value& delivery = *entry.value;
        table.add(deliveries.row(entry, {timeCell(delivery, "receivedAt"), text(delivery, "forge"),
                                         text(delivery, "event"), text(delivery, "ref"),
                                         Poco::replace(text(delivery, "outcome"), "\n", "; "),
                                         text(delivery, "repository")}));
    }
    return deliveries.end(table.render(session.terminal));
}

} // namespace agent::ctl
