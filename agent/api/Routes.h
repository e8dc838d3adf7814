#pragma once

#include "agent/api/AccessParts.h"
#include "agent/api/Followers.h"
#include "agent/api/Guard.h"
#include "agent/api/Http.h"
#include "agent/api/JsonArray.h"
#include "agent/api/StageListCache.h"
#include "agent/intake/Hooks.h"
#include "agent/outbox/Outbox.h"
#include "agent/run/CacheWorker.h"
#include "agent/run/Engine.h"
#include "agent/run/StageDefinition.h"
#include "agent/store/LogReader.h"
#include "agent/store/RecordCheck.h"
#include "agent/tls/TlsContext.h"

#include <filesystem>
#include <utility>

namespace agent
{

/// What the handlers work with.
struct ApiParts
{
    Engine& engine;
    Database& database;
    const ServiceCatalog& services;
    const PluginRegistry& plugins;
    const StateFolder& state;
    StageListCache& stageLists;
    Followers& followers;
    const RecordCheck& recordCheck;
    AccessParts& access;
    Outbox& outbox;
    Hooks& hooks;
    const CacheWorker& caches;
    bool publicMetrics = false;
    std::string url = {};            ///< of the agent, without a slash at its end
    const TlsContext* tls = nullptr; ///< null: none
    IsolationPolicy isolation = {};
    StageDefaults stages = {};
};

/// The HTTP API: which request goes to which handler.
/// Threads: any.
class Routes
{
public:
    Routes(ApiParts parts, const Guard& guard) : _api(std::move(parts)), _guard(guard) {}

    /// Errors: Refusal; anything else is ours.
    Response handle(Request& request) const;

    /// Says whether the request may wait for the engine, for processes, or for a long log.
    static bool takesLong(const Request& request);

    /// The stages of a run, if their list lies ready; nothing for all else. Never blocks.
    /// Errors: as handle().
    std::optional<Response> atOnce(Request& request) const;

    /// A route as it is declared: for tests that go through all of them.
    struct Declared
    {
        std::string method;
        std::string path;         ///< `/api/stages/:id`
        std::optional<Role> role; ///< that it needs; none: everybody may
    };
    static std::vector<Declared> all();

private:
    ApiParts _api;
    const Guard& _guard;
};

/// Errors: Refusal 404 when the caller may not see the run, or the stage's, as if there were none.
void needVisibleRun(const ApiParts& api, const Request& request, const std::string& runId);
void needVisibleStage(const ApiParts& api, const Request& request, const std::string& stageId);

/// The answer to a client for whom there is no room to follow.
Refusal tooManyFollowers();

/// The stage with this id. Errors: Declined.
Stage needStage(const ApiParts& api, const std::string& id);

/// The bytes of an attempt's log that have their time: a line shall not get another one when it is read
/// again.
LogReader::Extent extentOf(const Stage& stage, int attempt);

/// A part of a history: at most `limit` entries behind `after`.
using HistoryPart =
    std::function<std::vector<HistoryEntry>(History, std::int64_t after, int limit)>;

/// The entries of a history, read in parts while they are sent.
JsonElements historyElements(Database& database, HistoryPart part);

/// The parameter `attempt`; nothing when the newest one is asked for.
std::optional<int> attemptOf(const Request& request, const Stage& stage);

/// Returns whether the parameter `view` asks for details in a list. Errors: Declined.
bool detailed(const Request& request);

// The handlers; each finds `:id` as a parsed id in `id`.
std::optional<Response> readyStages(const ApiParts& api, const Request& request);
Response listStages(const ApiParts& api, const Request& request, const std::string& id);
Response showStage(const ApiParts& api, const Request& request, const std::string& id);
Response patchStage(const ApiParts& api, const Request& request, const std::string& id);
Response deleteStage(const ApiParts& api, const Request& request, const std::string& id);
Response stageHistory(const ApiParts& api, const Request& request, const std::string& id);
Response stageProcesses(const ApiParts& api, const Request& request, const std::string& id);
Response stageLog(const ApiParts& api, const Request& request, const std::string& id);
Response listFiles(const ApiParts& api, const Request& request, const std::string& id);
Response getFile(const ApiParts& api, const Request& request, const std::string& id);
Response runArchive(const ApiParts& api, const Request& request, const std::string& id);
Response runTests(const ApiParts& api, const Request& request, const std::string& id);
Response listLogs(const ApiParts& api, const Request& request, const std::string& id);
Response events(const ApiParts& api, const Request& request, const std::string& id);
Response createRun(const ApiParts& api, const Request& request, const std::string& id);
Response listRuns(const ApiParts& api, const Request& request, const std::string& id);
Response showRun(const ApiParts& api, const Request& request, const std::string& id);
Response patchRun(const ApiParts& api, const Request& request, const std::string& id);
Response deleteRun(const ApiParts& api, const Request& request, const std::string& id);
Response stopRun(const ApiParts& api, const Request& request, const std::string& id);
Response rerunRun(const ApiParts& api, const Request& request, const std::string& id);
Response approveRun(const ApiParts& api, const Request& request, const std::string& id);
Response runCommits(const ApiParts& api, const Request& request, const std::string& id);
Response runHistory(const ApiParts& api, const Request& request, const std::string& id);
Response listServices(const ApiParts& api, const Request& request, const std::string& id);
Response showService(const ApiParts& api, const Request& request, const std::string& id);
Response listStuck(const ApiParts& api, const Request& request, const std::string& id);
Response showAgent(const ApiParts& api, const Request& request, const std::string& id);
Response drain(const ApiParts& api, const Request& request, const std::string& id);
Response resume(const ApiParts& api, const Request& request, const std::string& id);
Response health(const ApiParts& api, const Request& request, const std::string& id);
Response ready(const ApiParts& api, const Request& request, const std::string& id);
Response metrics(const ApiParts& api, const Request& request, const std::string& id);
Response receiveHook(const ApiParts& api, const Request& request, const std::string& id);
Response listDeliveries(const ApiParts& api, const Request& request, const std::string& id);
Response listOutbox(const ApiParts& api, const Request& request, const std::string& id);
Response retryReport(const ApiParts& api, const Request& request, const std::string& id);
Response dropReport(const ApiParts& api, const Request& request, const std::string& id);
Response listCaches(const ApiParts& api, const Request& request, const std::string& id);
Response removeCache(const ApiParts& api, const Request& request, const std::string& name);
Response listTokens(const ApiParts& api, const Request& request, const std::string& id);
Response createToken(const ApiParts& api, const Request& request, const std::string& id);
Response revokeToken(const ApiParts& api, const Request& request, const std::string& name);
Response inviteToDashboard(const ApiParts& api, const Request& request, const std::string& id);
Response openSession(const ApiParts& api, const Request& request, const std::string& id);
Response apiDescription(const ApiParts& api, const Request& request, const std::string& id);
Response dashboardFile(const ApiParts& api, const Request& request, const std::string& name);

} // namespace agent
