// `stagectl caches`.
#include "agent/ctl/Cells.h"
#include "agent/ctl/Commands.h"
#include "agent/ctl/Json.h"
#include "agent/ctl/Table.h"
#include "agent/ctl/Text.h"

namespace agent::ctl
{

namespace
{

std::string cachesTable(const Session& session, const rapidjson::Value& caches)
{
    Table table({"CACHE", "SERVICE", "SCOPE", "KEY", "SIZE", "FILES", "CREATED", "USED", "HITS"});
    for (const auto& cache : caches.GetArray())
        table.add({text(cache, "id"), text(cache, "service"), text(cache, "scope"),
                   text(cache, "key"), bytesText(number(cache, "bytes").value_or(0)),
                   text(cache, "files"), timeCell(cache, "createdAt"), timeCell(cache, "usedAt"),
                   text(cache, "hits")});
    return table.render(session.terminal);
}

std::string removeOne(const Client& client, const std::string& id)
{
    const auto cache =
        objectOf(client.ask({.method = "DELETE", .path = "/api/caches/" + encoded(id)}));
    return "removed: " + visible(text(cache, "key")) + " of " + visible(text(cache, "service")) +
           ", " + visible(text(cache, "scope")) + "\n";
}

} // namespace

Exit listCaches(const Session& session, const CachesRequest& request)
{
    const Client& client = theAgent(session, "caches");
    if (!request.remove.empty())
    {
        for (const std::string& id : request.remove)
            writeOut(removeOne(client, id));
        return Exit::Ok;
    }
    const Answer answer =
        client.ask({.path = "/api/caches" + (request.service.empty()
                                                 ? std::string()
                                                 : "?service=" + encoded(request.service))});
    const auto document = objectOf(answer);
    const rapidjson::Value* caches = member(document, "caches");
    if (caches == nullptr || !caches->IsArray())
    {
        printDocument(session, answer.body);
        return Exit::Ok;
    }
    if (request.removeAll)
    {
        for (const auto& cache : caches->GetArray())
            writeOut(removeOne(client, text(cache, "id")));
        return Exit::Ok;
    }
    if (session.json)
        printDocument(session, answer.body);
    else
        writeOut(cachesTable(session, *caches));
    return Exit::Ok;
}

} // namespace agent::ctl
