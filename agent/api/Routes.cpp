#include "agent/api/Routes.h"

#include "agent/model/Id.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

namespace agent
{

namespace
{

using Function = Response (*)(const ApiParts&, const Request&, const std::string&);

enum class Pace
{
    Short, ///< waits for nothing but the store
    Long   ///< may wait for the engine, for processes, or for a long log
};

struct Route
{
    std::string_view method;
    std::vector<std::string_view> segments; ///< ":id" is a UUID, ":name" any text
    Function function;
    Pace pace = Pace::Short;
};

/// All there is, on one page.
const std::vector<Route> routes{
    {"GET", {"api", "stages"}, listStages},
    {"GET", {"api", "stages", ":id"}, showStage},
    {"PATCH", {"api", "stages", ":id"}, patchStage, Pace::Long},
    {"DELETE", {"api", "stages", ":id"}, deleteStage, Pace::Long},
    {"GET", {"api", "stages", ":id", "history"}, stageHistory},
    {"GET", {"api", "stages", ":id", "processes"}, stageProcesses, Pace::Long},
    {"GET", {"api", "stages", ":id", "log"}, stageLog, Pace::Long},
    {"GET", {"api", "logs"}, listLogs, Pace::Long},
    {"GET", {"api", "events"}, events},
    {"POST", {"api", "runs"}, createRun, Pace::Long},
    {"GET", {"api", "runs"}, listRuns},
    {"GET", {"api", "runs", ":id"}, showRun},
    {"PATCH", {"api", "runs", ":id"}, patchRun, Pace::Long},
    {"DELETE", {"api", "runs", ":id"}, deleteRun, Pace::Long},
    {"POST", {"api", "runs", ":id", "stop"}, stopRun, Pace::Long},
    {"POST", {"api", "runs", ":id", "rerun"}, rerunRun, Pace::Long},
    {"POST", {"api", "runs", ":id", "approve-deployment"}, approveRun, Pace::Long},
    {"GET", {"api", "runs", ":id", "history"}, runHistory},
    {"GET", {"api", "services"}, listServices},
    {"GET", {"api", "services", ":name"}, showService},
    {"GET", {"api", "stuck"}, listStuck, Pace::Long},
    {"GET", {"api", "agent"}, showAgent},
    {"POST", {"api", "agent", "drain"}, drain, Pace::Long},
    {"POST", {"api", "agent", "resume"}, resume, Pace::Long},
    {"GET", {"api", "openapi.yaml"}, apiDescription},
    {"GET", {"healthz"}, health, Pace::Long},
    {"GET", {"readyz"}, ready},
    {"GET", {"metrics"}, metrics},
    {"GET", {}, dashboardFile},
    {"GET", {"dashboard", ":name"}, dashboardFile},
};

/// Returns whether the path is the route's; `id` gets its variable segment as it stands.
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
    case Declined::Kind::Overloaded:
    case Declined::Kind::Unavailable:
        refusal.status = declined.kind == Declined::Kind::Overloaded ? 429 : 503;
        refusal.headers["Retry-After"] = "5";
        break;
    }
    return refusal;
}

} // namespace

bool Routes::takesLong(const Request& request)
{
    std::string id;
    bool uuid = false;
    return std::any_of(routes.begin(), routes.end(),
                       [&](const Route& route)
                       {
                           return route.pace == Pace::Long && route.method == request.method &&
                                  matches(route, request.segments, id, uuid);
                       });
}

std::optional<Response> Routes::atOnce(const Request& request) const
{
    if (request.method != "GET" || request.path != "/api/stages")
        return std::nullopt;
    _guard.check(request);
    return readyStages(_api, request);
}

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
