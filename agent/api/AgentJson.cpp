// What the API says of the agent itself and of who may use it.
#include "agent/api/Json.h"
#include "agent/api/JsonMembers.h"
#include "agent/run/EngineOptions.h"

#include <unistd.h>

namespace agent
{

namespace
{

using namespace json;

void putToken(Writer& out, const Token& token)
{
    put(out, "name", token.name);
    put(out, "role", toString(token.role));
    putTexts(out, "services", token.services);
    out.Key("proxy");
    out.Bool(token.proxy);
    put(out, "createdAt", formatTime(token.createdAt));
    putTime(out, "expiresAt", token.expiresAt);
    putTime(out, "lastUsedAt", token.lastUsedAt);
}

void putWholeAgent(Writer& out, const EngineStatus& facts, const PluginRegistry& plugins)
{
    putNumber(out, "slots", std::optional(facts.slots));
    putNumber(out, "running", std::optional(facts.running));
    putNumber(out, "setAside", std::optional(facts.blockedSlots.size()));
    out.Key("setAsideStages");
    out.StartArray();
    for (const auto& stage : facts.blockedSlots)
    {
        out.StartObject();
        put(out, "stageId", stage.stageId);
        put(out, "runId", stage.runId);
        put(out, "processes", stage.processes);
        put(out, "since", formatTime(stage.since));
        out.EndObject();
    }
    out.EndArray();
    putNumber(out, "queueLength", std::optional(facts.queued));
    out.Key("draining");
    out.Bool(facts.draining);
    putNumber(out, "freeBytes", std::optional(facts.freeBytes));
    putNumber(out, "freeInodes", facts.freeInodes);
    out.Key("plugins");
    out.StartArray();
    for (const auto& [name, plugin] : plugins.all())
    {
        out.StartObject();
        put(out, "name", name);
        put(out, "version", plugin->version);
        put(out, "description", plugin->description);
        put(out, "sha256", plugin->sha256);
        out.EndObject();
    }
    out.EndArray();
}

/// None and 0 of the configuration are null: no limit.
void putLimits(Writer& out, const EngineOptions& options)
{
    const auto putLimit = [&out](const char* key, std::int64_t value)
    { putNumber(out, key, value > 0 ? std::optional(value) : std::nullopt); };
    out.Key("limits");
    out.StartObject();
    putNumber(out, "queueMax", options.queueMax);
    putLimit("stageTimeoutMs", options.orders.timeoutMs);
    putNumber(out, "stageGraceMs", std::optional(options.orders.graceMs));
    putLimit("stuckAfterMs", options.stuckAfterMs);
    putLimit("logMaxBytes", options.orders.logMaxBytes);
    putNumber(out, "minFreeBytes", std::optional(options.disk.minFreeBytes));
    putNumber(out, "minFreeInodes", std::optional(options.disk.minFreeInodes));
    putLimit("keepRunsMs", options.retention.runsMs);
    putLimit("keepRuns", options.retention.runsCount);
    putLimit("keepWorkspacesMs", options.retention.workspaceMs);
    putLimit("compressLogsAfterMs", options.retention.plainLogsMs);
    out.EndObject();
}

void putRefused(Writer& out, const std::vector<ServiceCatalog::Refused>& files)
{
    out.Key("brokenServices");
    out.StartArray();
    for (const auto& each : files)
    {
        out.StartObject();
        put(out, "name", each.name);
        put(out, "file", each.file);
        put(out, "problem", each.problem);
        out.Key("inUse");
        out.Bool(each.inUse);
        out.EndObject();
    }
    out.EndArray();
}

} // namespace

std::string toApiJson(const TokenCatalog::Listed& listed)
{
    return object(
        [&](Writer& out)
        {
            putToken(out, listed.token);
            put(out, "source", listed.outside ? "credential" : "record");
        });
}

std::string tokenJson(const Token& token, const std::string& secret)
{
    return object(
        [&](Writer& out)
        {
            putToken(out, token);
            put(out, "source", "record");
            if (!secret.empty())
                put(out, "token", secret);
        });
}

std::string invitationJson(const std::string& code, TimeMs expiresAt, const std::string& url)
{
    return object(
        [&](Writer& out)
        {
            put(out, "code", code);
            put(out, "expiresAt", formatTime(expiresAt));
            put(out, "url", url);
        });
}

std::string agentJson(const AgentView& view)
{
    return object(
        [&](Writer& out)
        {
            char host[256] = "";
            ::gethostname(host, sizeof host - 1);
            put(out, "version", STAGE_AGENT_VERSION);
            put(out, "host", host);
            if (!view.caller.narrowed())
            {
                putWholeAgent(out, view.facts, view.plugins);
                putRefused(out, view.refused);
                putLimits(out, view.options);
            }
            out.Key("caller");
            out.StartObject();
            put(out, "name", view.actor);
            putOrNull(out, "role",
                      view.caller.role ? std::string(toString(*view.caller.role)) : "");
            putTexts(out, "services", view.caller.services);
            out.EndObject();
        });
}

} // namespace agent
