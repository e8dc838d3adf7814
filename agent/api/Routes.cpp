#include "agent/api/Routes.h"

#include "agent/model/Id.h"
#include "agent/model/Suggestion.h"

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

/// What a route concerns, for a token that is narrowed to services.
enum class Concerns
{
    Run,     ///< `:id` is a run
    Stage,   ///< `:id` is a stage
    Visible, ///< the handler shows and does no more than the caller may
    Agent    ///< the whole agent: not for such a token
};

/// Who may use a route. Each has one, for there is none by default.
class Needs
{
public:
    constexpr Needs(Role role, Concerns concerns) : _role(role), _concerns(concerns) {}

    static constexpr Needs nothing() { return {}; }

    [[nodiscard]] constexpr std::optional<Role> role() const { return _role; }
    [[nodiscard]] constexpr Concerns concerns() const { return _concerns; }

private:
    constexpr Needs() = default;

    std::optional<Role> _role;
    Concerns _concerns = Concerns::Visible;
};

using Parameters = std::vector<std::string_view>;

struct Route
{
    std::string_view method;
    std::vector<std::string_view>
        segments; ///< ":id" is a UUID, ":name" any text, ":path", the last, several
    Needs needs;
    Function function;
    Pace pace = Pace::Short;
    Parameters parameters = {}; ///< of the query; others are refused
};

constexpr Needs nothing = Needs::nothing();
constexpr Needs readVisible{Role::Read, Concerns::Visible};
constexpr Needs readRun{Role::Read, Concerns::Run};
constexpr Needs readStage{Role::Read, Concerns::Stage};
constexpr Needs readAgent{Role::Read, Concerns::Agent};
constexpr Needs runVisible{Role::Run, Concerns::Visible};
constexpr Needs runRun{Role::Run, Concerns::Run};
constexpr Needs operateRun{Role::Operate, Concerns::Run};
constexpr Needs operateStage{Role::Operate, Concerns::Stage};
constexpr Needs operateAgent{Role::Operate, Concerns::Agent};
constexpr Needs adminAgent{Role::Admin, Concerns::Agent};

const Parameters ofLog{"attempt", "follow", "timestamps", "since"};
const Parameters ofFiles{"attempt", "path"};
const Parameters ofFile{"attempt"};
const Parameters ofLines{"stageId", "attempt", "after", "limit", "search"};
const Parameters ofEvents{"runId", "stageId", "logs", "after", "lastEventId"};
const Parameters ofRuns{"serviceId", "status", "branch", "commit", "label",
                        "since",     "until",  "limit",  "before", "view"};

/// All there is, on one page.
const std::vector<Route> routes{
    {"GET", {"api", "stages"}, readVisible, listStages, Pace::Short, {"runId", "view"}},
    {"GET", {"api", "stages", ":id"}, readStage, showStage, Pace::Short, {"attempt"}},
    {"PATCH", {"api", "stages", ":id"}, operateStage, patchStage, Pace::Long},
    {"DELETE", {"api", "stages", ":id"}, operateStage, deleteStage, Pace::Long},
    {"GET", {"api", "stages", ":id", "history"}, readStage, stageHistory},
    {"GET", {"api", "stages", ":id", "processes"}, readStage, stageProcesses, Pace::Long},
    {"GET", {"api", "stages", ":id", "log"}, readStage, stageLog, Pace::Long, ofLog},
    {"GET", {"api", "stages", ":id", "artifacts"}, readStage, listFiles, Pace::Long, ofFiles},
    {"GET", {"api", "stages", ":id", "artifacts", ":path"}, readStage, getFile, Pace::Long, ofFile},
    {"GET", {"api", "logs"}, readVisible, listLogs, Pace::Long, ofLines},
    {"GET", {"api", "events"}, readVisible, events, Pace::Short, ofEvents},
    {"POST", {"api", "runs"}, runVisible, createRun, Pace::Long, {"serviceId"}},
    {"GET", {"api", "runs"}, readVisible, listRuns, Pace::Short, ofRuns},
    {"GET", {"api", "runs", ":id"}, readRun, showRun},
    {"PATCH", {"api", "runs", ":id"}, operateRun, patchRun, Pace::Long},
    {"DELETE", {"api", "runs", ":id"}, operateRun, deleteRun, Pace::Long},
    {"POST", {"api", "runs", ":id", "stop"}, operateRun, stopRun, Pace::Long},
    {"POST", {"api", "runs", ":id", "rerun"}, runRun, rerunRun, Pace::Long},
    {"POST", {"api", "runs", ":id", "approve-deployment"}, operateRun, approveRun, Pace::Long},
    {"GET", {"api", "runs", ":id", "outgoing-commits"}, readRun, runCommits},
    {"GET", {"api", "runs", ":id", "history"}, readRun, runHistory},
    {"GET", {"api", "runs", ":id", "tests"}, readRun, runTests, Pace::Long},
    {"GET", {"api", "runs", ":id", "artifacts.tar.zst"}, readRun, runArchive, Pace::Long},
    {"GET", {"api", "services"}, readVisible, listServices},
    {"GET", {"api", "services", ":name"}, readVisible, showService},
    {"GET", {"api", "stuck"}, readVisible, listStuck, Pace::Long},
    {"GET", {"api", "agent"}, readVisible, showAgent},
    {"POST", {"api", "agent", "drain"}, operateAgent, drain, Pace::Long},
    {"POST", {"api", "agent", "resume"}, operateAgent, resume, Pace::Long},
    {"POST", {"hooks", "github"}, nothing, receiveHook, Pace::Long},
    {"POST", {"hooks", "gitlab"}, nothing, receiveHook, Pace::Long},
    {"POST", {"hooks", "gitea"}, nothing, receiveHook, Pace::Long},
    {"GET", {"api", "hooks", "deliveries"}, readAgent, listDeliveries, Pace::Short, {"limit"}},
    {"GET", {"api", "outbox"}, readAgent, listOutbox, Pace::Short, {"limit", "after"}},
    {"POST", {"api", "outbox", ":id", "retry"}, operateAgent, retryReport},
    {"DELETE", {"api", "outbox", ":id"}, operateAgent, dropReport, Pace::Long},
    {"GET", {"api", "caches"}, readAgent, listCaches, Pace::Long, {"service"}},
    {"DELETE", {"api", "caches", ":name"}, operateAgent, removeCache, Pace::Long},
    {"GET", {"api", "tokens"}, adminAgent, listTokens},
    {"POST", {"api", "tokens"}, adminAgent, createToken, Pace::Long},
    {"DELETE", {"api", "tokens", ":name"}, adminAgent, revokeToken, Pace::Long},
    {"POST", {"api", "dashboard", "codes"}, readVisible, inviteToDashboard},
    {"POST", {"api", "dashboard", "sessions"}, nothing, openSession},
    {"GET", {"api", "openapi.yaml"}, readVisible, apiDescription},
    {"GET", {"healthz"}, nothing, health, Pace::Long},
    {"GET", {"readyz"}, nothing, ready},
    {"GET", {"metrics"}, readVisible, metrics},
    {"GET", {}, nothing, dashboardFile},
    {"GET", {"dashboard", ":name"}, nothing, dashboardFile},
};

/// Returns whether the path is the route's; `id` gets its variable segment as it stands.
bool matches(const Route& route, const std::vector<std::string>& segments, std::string& id,
             bool& uuid)
{
    const bool below = !route.segments.empty() && route.segments.back() == ":path";
    if (below ? segments.size() < route.segments.size() : segments.size() != route.segments.size())
        return false;
    for (std::size_t i = 0; i < route.segments.size() - (below ? 1 : 0); ++i)
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
    case Declined::Kind::Forbidden:
        refusal.status = 403;
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

/// A misspelt filter must not show all there is. Errors: Refusal.
void checkParameters(const Request& request, const Parameters& known)
{
    for (const auto& [name, value] : request.query)
        if (std::find(known.begin(), known.end(), name) == known.end())
            throw Refusal{
                400, "unknown_parameter",
                "there is no query parameter '" + name + "' here" + suggestion(name, known), name};
}

/// Of a caller whose token is narrowed to services.
void checkVisible(const ApiParts& api, const Request& request, Concerns concerns,
                  const std::string& id)
{
    switch (concerns)
    {
    case Concerns::Run:
        return needVisibleRun(api, request, id);
    case Concerns::Stage:
        return needVisibleStage(api, request, id);
    case Concerns::Visible:
        return;
    case Concerns::Agent:
        throw Refusal{.status = 403,
                      .code = "token_narrowed",
                      .message = "the token of '" + request.actor +
                                 "' is narrowed to services; this concerns the whole agent",
                      .field = ""};
    }
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

std::vector<Routes::Declared> Routes::all()
{
    std::vector<Declared> declared;
    for (const auto& route : routes)
    {
        Declared& one = declared.emplace_back();
        one.method = route.method;
        one.role = route.needs.role();
        for (const auto segment : route.segments)
            one.path.append("/").append(segment);
        if (one.path.empty())
            one.path = "/";
    }
    return declared;
}

std::optional<Response> Routes::atOnce(Request& request) const
{
    if (request.method != "GET" || request.path != "/api/stages")
        return std::nullopt;
    // To find a user's name may take a while: a worker does that.
    if (request.peer.door == Peer::Door::Unix)
        return std::nullopt;
    _guard.check(request);
    _api.access.access.admit(request, readVisible.role().value());
    return request.caller.narrowed() ? std::nullopt : readyStages(_api, request);
}

Response Routes::handle(Request& request) const
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
        const bool open = route.function == metrics && _api.publicMetrics;
        if (const auto role = route.needs.role(); role && !open)
            _api.access.access.admit(request, *role);
        if (uuid)
        {
            const auto parsed = parseId(id);
            if (!parsed)
                throw Refusal{400, "invalid_id", "'" + id + "' is no UUID", "id"};
            id = *parsed;
        }
        checkParameters(request, route.parameters);
        try
        {
            if (request.caller.narrowed())
                checkVisible(_api, request, route.needs.concerns(), id);
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
