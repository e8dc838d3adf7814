// What stages keep from one run to the next.
#include "agent/api/JsonMembers.h"
#include "agent/api/Routes.h"

#include <optional>

namespace agent
{

namespace
{

using namespace json;

void putCache(Writer& out, const StoredCache& cache)
{
    const CacheHeader& header = cache.header;
    put(out, "id", cache.id);
    put(out, "service", header.serviceName);
    put(out, "scope", header.scopeName);
    put(out, "key", header.key);
    putNumber(out, "bytes", std::optional(header.archiveBytes));
    putNumber(out, "contentBytes", std::optional(header.contentBytes));
    putNumber(out, "files", std::optional(header.files));
    put(out, "createdAt", formatTime(header.createdAt));
    put(out, "usedAt", formatTime(cache.usedAt));
    putNumber(out, "hits", std::optional(cache.hits));
}

} // namespace

Response listCaches(const ApiParts& api, const Request& request, const std::string&)
{
    const auto service = request.parameter("service");
    const CacheWorker& worker = api.caches;
    std::int64_t bytes = 0;
    return {.body = object(
                [&](Writer& out)
                {
                    out.Key("caches");
                    out.StartArray();
                    for (const StoredCache& cache : worker.store().list())
                    {
                        bytes += cache.header.archiveBytes;
                        if (service && cache.header.serviceName != *service)
                            continue;
                        out.StartObject();
                        putCache(out, cache);
                        out.EndObject();
                    }
                    out.EndArray();
                    putNumber(out, "bytes", std::optional(bytes));
                    putNumber(out, "maxBytes", std::optional(worker.options().maxBytes));
                })};
}

Response removeCache(const ApiParts& api, const Request&, const std::string& id)
{
    const auto removed = api.caches.store().remove(id);
    if (!removed)
        throw Refusal{404, "cache_not_found", "there is no cache " + id, ""};
    return {.body = object([&](Writer& out) { putCache(out, *removed); })};
}

} // namespace agent
