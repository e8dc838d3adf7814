// A job as the file that outlives the daemon.
#include "agent/run/CacheWorker.h"
#include "agent/wire/JsonObject.h"

namespace agent
{

std::string toJson(const CacheJob& job)
{
    ObjectWriter out;
    out.number("version", caches::version);
    out.text("run", job.runId);
    out.text("workspace", job.workspace);
    out.text("home", job.home);
    out.text("service", job.service);
    out.text("service_name", job.serviceName);
    out.text("scope", job.scope);
    out.text("scope_name", job.scopeName);
    out.texts("reads", job.reads);
    auto& list = out.key("stages");
    list.StartArray();
    for (const CacheJob::OfStage& stage : job.stages)
    {
        list.StartObject();
        out.text("report", stage.report);
        out.number("made_ms", stage.madeMs);
        putCaches(out, stage.caches);
        list.EndObject();
    }
    list.EndArray();
    return out.finish();
}

std::optional<CacheJob> cacheJobFrom(const std::string& json)
try
{
    rapidjson::Document document;
    if (document.Parse(json.data(), json.size()).HasParseError())
        return std::nullopt;
    const ObjectReader object(document);
    if (object.number("version") != caches::version)
        return std::nullopt;
    CacheJob job{.runId = object.text("run"),
                 .workspace = object.text("workspace"),
                 .home = object.text("home"),
                 .service = object.text("service"),
                 .serviceName = object.text("service_name"),
                 .scope = object.text("scope"),
                 .scopeName = object.text("scope_name"),
                 .reads = object.texts("reads")};
    const auto& list = object.get("stages");
    if (!list.IsArray())
        return std::nullopt;
    for (const auto& item : list.GetArray())
    {
        const ObjectReader stage(item);
        job.stages.push_back({.report = stage.text("report"),
                              .madeMs = stage.number("made_ms"),
                              .caches = cachesIn(stage)});
    }
    return job;
}
catch (const BadFile&)
{
    return std::nullopt;
}

} // namespace agent
