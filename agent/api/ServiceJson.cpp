// What the API says of a service.
#include "agent/api/Json.h"
#include "agent/api/JsonMembers.h"
#include "agent/model/RepositoryName.h"

namespace agent
{

namespace
{

using namespace json;

void putService(Writer& out, const Service& service)
{
    put(out, "id", service.id);
    put(out, "name", service.name);
    putOrNull(out, "repository", shownRepository(service.pipeline.repository));
    putOrNull(out, "branch", service.pipeline.branch);
    putNumber(out, "concurrency", std::optional(service.concurrency));
    putOrNull(out, "pipelineFile", service.pipeline.file ? service.pipeline.file->path : "");
    putLabels(out, service.labels);
    out.Key("links");
    out.StartObject();
    putOrNull(out, "commit", service.links.commit);
    putOrNull(out, "branch", service.links.branch);
    putOrNull(out, "pull", service.links.pull);
    out.EndObject();
    out.Key("stages");
    out.StartArray();
    for (const auto& stage : service.pipeline.stages)
    {
        out.StartObject();
        put(out, "type", toString(stage.type));
        put(out, "name", stage.name.empty() ? toString(stage.type) : std::string_view(stage.name));
        put(out, "plugin", stage.plugin);
        out.Key("approval");
        out.Bool(stage.approval.required);
        out.EndObject();
    }
    out.EndArray();
}

} // namespace

std::string toApiJson(const Service& service)
{
    return object([&](Writer& out) { putService(out, service); });
}

} // namespace agent
