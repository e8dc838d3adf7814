#include "agent/api/Json.h"

#include "agent/model/Utf8.h"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>

#include <unistd.h>

namespace agent
{

namespace
{

using Buffer = rapidjson::StringBuffer;
using Writer = rapidjson::Writer<Buffer>;

void put(Writer& out, const char* key, std::string_view value)
{
    out.Key(key);
    out.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
}

void putOrNull(Writer& out, const char* key, const std::string& value)
{
    out.Key(key);
    value.empty() ? out.Null() : out.String(value);
}

template <typename T> void putNumber(Writer& out, const char* key, const std::optional<T>& value)
{
    out.Key(key);
    value ? out.Int64(*value) : out.Null();
}

void putTime(Writer& out, const char* key, const std::optional<TimeMs>& value)
{
    out.Key(key);
    value ? out.String(formatTime(*value)) : out.Null();
}

/// A comma-separated text as a list.
void putWords(Writer& out, const char* key, std::string_view words)
{
    out.Key(key);
    out.StartArray();
    while (!words.empty())
    {
        const std::size_t end = std::min(words.find(','), words.size());
        out.String(words.data(), static_cast<rapidjson::SizeType>(end));
        words.remove_prefix(std::min(end + 1, words.size()));
    }
    out.EndArray();
}

template <typename Record> void putSeconds(Writer& out, const Record& record)
{
    std::optional<std::int64_t> seconds;
    if (record.startedAt && record.endedAt)
        seconds = ceilSeconds(*record.startedAt, *record.endedAt);
    putNumber(out, "duration", seconds);
}

void putNine(Writer& out, const Stage& stage)
{
    put(out, "id", stage.id);
    put(out, "createdAt", formatTime(stage.createdAt));
    put(out, "updatedAt", formatTime(stage.updatedAt));
    put(out, "type", toString(stage.type));
    putTime(out, "startedAt", stage.startedAt);
    putTime(out, "endedAt", stage.endedAt);
    putSeconds(out, stage);
    put(out, "status", toString(stage.status));
    put(out, "runId", stage.runId);
}

void write(Writer& out, const Stage& stage)
{
    out.StartObject();
    putNine(out, stage);
    out.EndObject();
}

void putRun(Writer& out, const Run& run)
{
    put(out, "id", run.id);
    put(out, "createdAt", formatTime(run.createdAt));
    put(out, "updatedAt", formatTime(run.updatedAt));
    putTime(out, "startedAt", run.startedAt);
    putTime(out, "endedAt", run.endedAt);
    putSeconds(out, run);
    putOrNull(out, "commitHash", run.commitHash);
    putOrNull(out, "commitMessage", run.commitMessage);
    putOrNull(out, "committer", run.committer);
    put(out, "status", toString(run.status));
    put(out, "triggerType", toString(run.trigger));
    putOrNull(out, "serviceId", run.serviceId);
    putOrNull(out, "serviceName", run.serviceName);
    putOrNull(out, "branch", run.branch);
    putNumber(out, "pullNumber", run.pullNumber);
}

void putFailed(Writer& out, const RunOutlook::FailedStage& stage)
{
    out.StartObject();
    put(out, "id", stage.id);
    put(out, "type", toString(stage.type));
    put(out, "name", stage.name);
    out.EndObject();
}

void putWaiting(Writer& out, const Waiting& waiting)
{
    out.StartObject();
    put(out, "reason", waiting.reason);
    putOrNull(out, "runId", waiting.runId);
    putNumber(out, "place", waiting.place);
    putTime(out, "until", waiting.until);
    out.EndObject();
}

void write(Writer& out, const RunFacts& facts)
{
    const auto& failed = facts.failedStage;
    out.StartObject();
    putRun(out, facts.run);
    putOrNull(out, "cause", failed && failed->cause ? std::string(toString(*failed->cause)) : "");
    out.Key("failedStage");
    failed ? putFailed(out, *failed) : static_cast<void>(out.Null());
    out.Key("waitingFor");
    facts.waitingFor ? putWaiting(out, *facts.waitingFor) : static_cast<void>(out.Null());
    out.EndObject();
}

/// A repository as it may be shown: without a user and password in its URL.
std::string shown(const std::string& repository)
{
    const auto scheme = repository.find("://");
    if (scheme == std::string::npos)
        return repository;
    const auto host = scheme + 3;
    const auto at = repository.substr(0, repository.find('/', host)).rfind('@');
    return at == std::string::npos || at < host
               ? repository
               : repository.substr(0, host) + "***" + repository.substr(at);
}

void write(Writer& out, const Service& service)
{
    out.StartObject();
    put(out, "id", service.id);
    put(out, "name", service.name);
    putOrNull(out, "repository", shown(service.pipeline.repository));
    putOrNull(out, "branch", service.pipeline.branch);
    putNumber(out, "concurrency", std::optional(service.concurrency));
    out.Key("stages");
    out.StartArray();
    for (const auto& stage : service.pipeline.stages)
    {
        out.StartObject();
        put(out, "type", toString(stage.type));
        put(out, "name", stage.name.empty() ? toString(stage.type) : std::string_view(stage.name));
        put(out, "plugin", stage.plugin);
        out.Key("approval");
        out.Bool(stage.approval);
        out.EndObject();
    }
    out.EndArray();
    out.EndObject();
}

void write(Writer& out, const HistoryEntry& entry)
{
    out.StartObject();
    put(out, "at", formatTime(entry.at));
    put(out, "actor", entry.actor);
    putOrNull(out, "from", entry.from);
    putOrNull(out, "to", entry.to);
    putOrNull(out, "cause", entry.cause ? std::string(toString(*entry.cause)) : "");
    putOrNull(out, "reason", entry.reason);
    putNumber(out, "attempt", std::optional(entry.attempt));
    putOrNull(out, "stageId", entry.stageId);
    out.EndObject();
}

void putDetail(Writer& out, const Stage& stage)
{
    putNine(out, stage);
    putNumber(out, "ordinal", std::optional(stage.ordinal));
    put(out, "name", stage.name);
    put(out, "plugin", stage.plugin);
    putNumber(out, "attempt", std::optional(stage.attempt));
    putNumber(out, "durationMs", stage.durationMs());
    putOrNull(out, "cause", stage.cause ? std::string(toString(*stage.cause)) : "");
    putNumber(out, "exitCode", stage.exitCode);
    putNumber(out, "signal", stage.signal);
    putOrNull(out, "message", stage.message);
    putOrNull(out, "containment", stage.containment);
    putWords(out, "limitsMissing", stage.limitsMissing);
    putOrNull(out, "isolation", stage.isolation);
    putOrNull(out, "network", stage.network);
    putOrNull(out, "pluginSha256", stage.pluginSha256);
    putOrNull(out, "notes", stage.notes);
    putNumber(out, "logBytes", std::optional(stage.logBytes));
    out.Key("usage");
    out.StartObject();
    putNumber(out, "cpuMs", stage.usage.cpuMs);
    putNumber(out, "maxRssBytes", stage.usage.maxRssBytes);
    putNumber(out, "readBytes", stage.usage.readBytes);
    putNumber(out, "writeBytes", stage.usage.writeBytes);
    out.EndObject();
    putNumber(out, "version", std::optional(stage.version));
    putTime(out, "stuckSince", stage.stuckSince);
    putOrNull(out, "stuckWhy", stage.stuckWhy);
}

void write(Writer& out, const ProcessInfo& process)
{
    out.StartObject();
    putNumber(out, "pid", std::optional(process.pid));
    putNumber(out, "parent", std::optional(process.ppid));
    put(out, "command", validUtf8(process.comm));
    put(out, "state", std::string_view(&process.state, 1));
    putOrNull(out, "waitChannel", process.wchan);
    putNumber(out, "cpuMs", std::optional(process.cpuMs));
    putNumber(out, "ageMs", std::optional(process.ageMs));
    out.EndObject();
}

void write(Writer& out, const StuckStage& stuck)
{
    out.StartObject();
    putDetail(out, stuck.stage);
    putOrNull(out, "service", stuck.serviceName);
    out.Key("processes");
    out.StartArray();
    for (const auto& process : stuck.processes)
        write(out, process);
    out.EndArray();
    out.Key("lastLines");
    out.StartArray();
    for (const auto& line : stuck.lastLines)
        out.String(line);
    out.EndArray();
    out.EndObject();
}

void putTexts(Writer& out, const char* key, const std::vector<std::string>& texts)
{
    out.Key(key);
    out.StartArray();
    for (const auto& text : texts)
        out.String(text);
    out.EndArray();
}

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

void write(Writer& out, const TokenCatalog::Listed& listed)
{
    out.StartObject();
    putToken(out, listed.token);
    put(out, "source", listed.outside ? "credential" : "record");
    out.EndObject();
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

/// Returns what `fill` writes.
template <typename Fill> std::string written(Fill fill)
{
    Buffer buffer;
    Writer out(buffer);
    fill(out);
    return {buffer.GetString(), buffer.GetSize()};
}

/// Returns an object with the members that `fill` writes.
template <typename Fill> std::string object(Fill fill)
{
    return written(
        [&](Writer& out)
        {
            out.StartObject();
            fill(out);
            out.EndObject();
        });
}

template <typename T> std::string one(const T& value)
{
    return written([&](Writer& out) { write(out, value); });
}

} // namespace

std::string toApiJson(const Stage& stage)
{
    return one(stage);
}

std::string toApiJson(const std::vector<Stage>& stages)
{
    return written(
        [&](Writer& out)
        {
            out.StartArray();
            for (const auto& stage : stages)
                write(out, stage);
            out.EndArray();
        });
}

std::string toApiJson(const RunFacts& facts)
{
    return one(facts);
}

std::string toApiJson(const Service& service)
{
    return one(service);
}

std::string toApiJson(const HistoryEntry& entry)
{
    return one(entry);
}

std::string detailJson(const Stage& stage)
{
    return object([&](Writer& out) { putDetail(out, stage); });
}

std::string toApiJson(const ProcessInfo& process)
{
    return one(process);
}

std::string toApiJson(const StuckStage& stage)
{
    return one(stage);
}

std::string toApiJson(const TokenCatalog::Listed& token)
{
    return one(token);
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

std::string stoppedJson(int stopped)
{
    return "{\"executionsStopped\":" + std::to_string(stopped) + "}";
}

std::string logLineJson(const LogLine& line, const std::string& stageId, int attempt)
{
    return object(
        [&](Writer& out)
        {
            put(out, "id", std::to_string(attempt) + "." + std::to_string(line.number));
            put(out, "message", validUtf8(line.text));
            put(out, "timestamp", formatTime(line.timeMs));
            put(out, "type", line.stream == 1 ? "stdout" : "stderr");
            put(out, "stageId", stageId);
            putNumber(out, "score", std::optional(line.timeMs));
        });
}

std::string stageEventJson(const Stage& stage)
{
    return object(
        [&](Writer& out)
        {
            putNine(out, stage);
            putNumber(out, "attempt", std::optional(stage.attempt));
            putOrNull(out, "cause", stage.cause ? std::string(toString(*stage.cause)) : "");
            putTime(out, "stuckSince", stage.stuckSince);
            putOrNull(out, "stuckWhy", stage.stuckWhy);
        });
}

std::string deletedJson(const std::string& runId, const std::string& stageId)
{
    return object(
        [&](Writer& out)
        {
            put(out, "runId", runId);
            putOrNull(out, "stageId", stageId);
        });
}

} // namespace agent
