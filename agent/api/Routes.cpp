#include "agent/api/Routes.h"

#include "agent/model/Id.h"

#include <array>
#include <string_view>
#include <vector>

namespace agent
{

namespace
{

using Function = Response (*)(const ApiParts&, const Request&, const std::string&);

struct Route
{
    std::string_view method;
    std::vector<std::string_view> segments; ///< ":id" is a UUID, ":name" any text
    Function function;
};

/// All there is, on one page.
const std::vector<Route> routes{
    {"GET", {"api", "stages"}, listStages},
    {"GET", {"api", "stages", ":id"}, showStage},
    {"PATCH", {"api", "stages", ":id"}, patchStage},
    {"DELETE", {"api", "stages", ":id"}, deleteStage},
    {"GET", {"api", "stages", ":id", "history"}, stageHistory},
    {"GET", {"api", "stages", ":id", "processes"}, stageProcesses},
    {"GET", {"api", "stages", ":id", "log"}, stageLog},
    {"GET", {"api", "logs"}, listLogs},
    {"GET", {"api", "events"}, events},
    {"POST", {"api", "runs"}, createRun},
    {"GET", {"api", "runs"}, listRuns},
    {"GET", {"api", "runs", ":id"}, showRun},
    {"PATCH", {"api", "runs", ":id"}, patchRun},
    {"DELETE", {"api", "runs", ":id"}, deleteRun},
    {"POST", {"api", "runs", ":id", "stop"}, stopRun},
    {"POST", {"api", "runs", ":id", "rerun"}, rerunRun},
    {"POST", {"api", "runs", ":id", "approve-deployment"}, approveRun},
    {"GET", {"api", "runs", ":id", "history"}, runHistory},
    {"GET", {"api", "services"}, listServices},
    {"GET", {"api", "services", ":name"}, showService},
    {"GET", {"api", "stuck"}, listStuck},
    {"GET", {"api", "agent"}, showAgent},
    {"POST", {"api", "agent", "drain"}, drain},
    {"POST", {"api", "agent", "resume"}, resume},
    {"GET", {"healthz"}, health},
    {"GET", {"readyz"}, ready},
    {"GET", {"metrics"}, metrics},
    {"GET", {}, dashboardFile},
    {"GET", {"dashboard", ":name"}, dashboardFile},
};

/// Shape: whether the path is the route's; `id` gets its variable segment as it stands.
bool matches(const Route& route, const std::vector<std::string>& segments, std::string& id,
             bool& uuid)
{
    if (route.segments.size() != segments.size())
        return false;
    for (std::size_t i = 0; i < segments.size(); ++i)
    {
        if (route.segments[i].starts_with(':'))
        {
            id = segments[i];
            uuid = route.segments[i] == ":id";
        }
        else if (route.segments[i] != segments[i])
            return false;
    }
    return true;
}

/// The one place where what the engine declines gets an HTTP status.
Refusal refusalOf(const Declined& declined)
{
    Refusal refusal{
        .status = 400, .code = declined.code, .message = declined.message, .field = declined.field};
    switch (declined.kind)
    {
    case Declined::Kind::Invalid:
        break;
    case Declined::Kind::NotFound:
        refusal.status = 404;
        break;
    case Declined::Kind::Conflict:
        refusal.status = 409;
        break;
    case Declined::Kind::Changed:
        refusal.status = 412;
        break;
    case Declined::Kind::Unavailable:
        refusal.status = 503;
        refusal.headers["Retry-After"] = "5";
        break;
    }
    return refusal;
}

} // namespace

Response Routes::handle(const Request& request) const
{
    _guard.check(request);
    std::string allowed;
    for (const auto& route : routes)
    {
        std::string id;
        bool uuid = false;
        if (!matches(route, request.segments, id, uuid))
            continue;
        if (route.method != request.method)
        {
            allowed += (allowed.empty() ? "" : ", ") + std::string(route.method);
            continue;
        }
        if (uuid)
        {
            const auto parsed = parseId(id);
            if (!parsed)
                throw Refusal{400, "invalid_id", "'" + id + "' is no UUID", "id"};
            id = *parsed;
        }
        try
        {
            return route.function(_api, request, id);
        }
        catch (const Declined& declined)
        {
            throw refusalOf(declined);
        }
    }
    if (!allowed.empty())
        throw Refusal{405,
                      "method_not_allowed",
                      request.method + " is not possible here; allowed: " + allowed,
                      "",
                      {{"Allow", allowed}}};
    throw Refusal{404, "not_found", "there is nothing at " + request.path, ""};
}

} // namespace agent
