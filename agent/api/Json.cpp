#include "agent/api/Json.h"

#include "agent/api/JsonMembers.h"
#include "agent/model/RepositoryName.h"
#include "agent/model/Utf8.h"

#include <algorithm>

namespace agent
{

namespace
{

using namespace json;

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
    putLabels(out, run.labels);
}

void putFailed(Writer& out, const RunOutlook::FailedStage& stage)
{
    out.StartObject();
    put(out, "id", stage.id);
    put(out, "type", toString(stage.type));
    put(out, "name", stage.name);
    out.EndObject();
}

void putCurrent(Writer& out, const RunOutlook::CurrentStage& stage)
{
    out.StartObject();
    put(out, "id", stage.id);
    put(out, "type", toString(stage.type));
    put(out, "name", stage.name);
    putTime(out, "stuckSince", stage.stuckSince);
    out.EndObject();
}

void putStates(Writer& out, const std::vector<RunOutlook::StageState>& stages)
{
    out.Key("stages");
    out.StartArray();
    for (const auto& stage : stages)
    {
        out.StartObject();
        put(out, "id", stage.id);
        put(out, "type", toString(stage.type));
        put(out, "name", stage.name);
        put(out, "status", stage.status);
        putOrNull(out, "cause", stage.cause ? std::string(toString(*stage.cause)) : "");
        putTime(out, "startedAt", stage.startedAt);
        putTime(out, "endedAt", stage.endedAt);
        putNumber(out, "earlierMs", std::optional(stage.earlierMs));
        putOrNull(out, "skipped", stage.skipped);
        out.EndObject();
    }
    out.EndArray();
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

void putResults(Writer& out, const RunOutlook::Results& results)
{
    out.Key("tests");
    if (results.testsTotal)
    {
        out.StartObject();
        putNumber(out, "total", results.testsTotal);
        putNumber(out, "failed", std::optional(results.testsFailed.value_or(0)));
        putNumber(out, "skipped", std::optional(results.testsSkipped.value_or(0)));
        out.EndObject();
    }
    else
        out.Null();
    out.Key("artifacts");
    if (results.artifactFiles)
    {
        out.StartObject();
        putNumber(out, "files", results.artifactFiles);
        putNumber(out, "bytes", std::optional(results.artifactBytes.value_or(0)));
        out.EndObject();
    }
    else
        out.Null();
}

/// Of a run that was stopped between its stages, none of them says why.
void putFailure(Writer& out, const Run& run, const std::optional<RunOutlook::FailedStage>& failed)
{
    const auto stopped = run.status == Status::Failure ? run.stopCause : std::nullopt;
    const auto cause = failed ? failed->cause : stopped;
    putOrNull(out, "cause", cause ? std::string(toString(*cause)) : "");
    out.Key("failedStage");
    failed ? putFailed(out, *failed) : static_cast<void>(out.Null());
}

void write(Writer& out, const RunFacts& facts)
{
    out.StartObject();
    putRun(out, facts.run);
    putFailure(out, facts.run, facts.failedStage);
    out.Key("waitingFor");
    facts.waitingFor ? putWaiting(out, *facts.waitingFor) : static_cast<void>(out.Null());
    out.Key("currentStage");
    facts.currentStage ? putCurrent(out, *facts.currentStage) : static_cast<void>(out.Null());
    out.Key("kept");
    out.Bool(facts.run.kept);
    putResults(out, facts.results);
    if (facts.stages)
        putStates(out, *facts.stages);
    out.EndObject();
}

void putNeeds(Writer& out, const std::vector<TakenSet>& needs)
{
    out.Key("needs");
    out.StartArray();
    for (const TakenSet& set : needs)
    {
        out.StartObject();
        put(out, "service", set.service);
        putOrNull(out, "branch", set.branch);
        put(out, "artifacts", set.name);
        put(out, "to", set.to);
        put(out, "runId", set.fromRun);
        putOrNull(out, "commitHash", set.commitHash);
        put(out, "sha256", set.manifest);
        putNumber(out, "files", std::optional(set.files));
        putNumber(out, "bytes", std::optional(set.bytes));
        out.EndObject();
    }
    out.EndArray();
}

void putDetail(Writer& out, const Stage& stage, const std::vector<TakenSet>* needs = nullptr)
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
    putOrNull(out, "skipped", stage.skipped);
    putTime(out, "approvalExpiresAt", stage.expiresAt);
    putResults(out, {.testsTotal = stage.testsTotal,
                     .testsFailed = stage.testsFailed,
                     .testsSkipped = stage.testsSkipped,
                     .artifactFiles = stage.artifactFiles,
                     .artifactBytes = stage.artifactBytes});
    if (needs != nullptr)
        putNeeds(out, *needs);
}

void write(Writer& out, const StageDefinition& definition)
{
    out.StartObject();
    out.Key("with");
    out.StartObject();
    for (const auto& [name, value] : definition.with)
        put(out, name.c_str(), value);
    out.EndObject();
    putTexts(out, "environment", definition.environment);
    putTexts(out, "secrets", definition.secrets);
    out.Key("secretsWithheld");
    out.StartObject();
    for (const auto& [name, why] : definition.secretsWithheld)
        put(out, name.c_str(), why);
    out.EndObject();
    putOrNull(out, "workspace", definition.workspace);
    put(out, "workspaceMode", toString(definition.workspaceMode));
    putNumber(out, "timeoutMs", std::optional(definition.timeoutMs));
    putNumber(out, "graceMs", std::optional(definition.graceMs));
    putNumber(out, "attempts", std::optional(definition.attempts));
    out.Key("approval");
    out.Bool(definition.approval);
    out.EndObject();
}

void write(Writer& out, const ProcessWait& wait)
{
    out.StartObject();
    put(out, "kind", wait.kind);
    put(out, "words", validUtf8(wait.words));
    putOrNull(out, "path", validUtf8(wait.path));
    putNumber(out, "holder", wait.holder);
    putOrNull(out, "peer", wait.peer);
    out.EndObject();
}

void write(Writer& out, const ProcessDetail& detail)
{
    const ProcessInfo& process = detail.info;
    out.StartObject();
    putNumber(out, "pid", std::optional(process.pid));
    putNumber(out, "parent", std::optional(process.ppid));
    put(out, "command", validUtf8(process.comm));
    put(out, "state", std::string_view(&process.state, 1));
    putOrNull(out, "waitsIn", process.wchan);
    putOrNull(out, "waitChannel", process.wchan);
    putNumber(out, "cpuMs", std::optional(process.cpuMs));
    putNumber(out, "ageMs", std::optional(process.ageMs));
    out.Key("arguments");
    out.StartArray();
    for (const auto& argument : detail.arguments)
        out.String(validUtf8(argument));
    out.EndArray();
    out.Key("waitsFor");
    detail.wait ? write(out, *detail.wait) : static_cast<void>(out.Null());
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

std::string detailJson(const Stage& stage, const std::vector<TakenSet>& needs)
{
    return object([&](Writer& out) { putDetail(out, stage, &needs); });
}

std::string detailJson(const Stage& stage, const std::vector<TakenSet>& needs,
                       const std::optional<StageDefinition>& definition)
{
    return object(
        [&](Writer& out)
        {
            putDetail(out, stage, &needs);
            out.Key("definition");
            definition ? write(out, *definition) : static_cast<void>(out.Null());
        });
}

std::string toApiJson(const ProcessDetail& process)
{
    return one(process);
}

std::string toApiJson(const StuckStage& stage)
{
    return one(stage);
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
            putOrNull(out, "skipped", stage.skipped);
        });
}

/// Without `waitingFor` and `currentStage`: what a run waits for, and whether its stage is stuck, changes without a change of the run.
std::string reportJson(const ReportFacts& facts, const ReportOrigin& origin)
{
    const Report& report = facts.report;
    const Stage* stage = facts.stage;
    return object(
        [&](Writer& out)
        {
            put(out, "specversion", "1.0");
            put(out, "id", report.id);
            put(out, "source", origin.source);
            put(out, "type", report.event);
            put(out, "subject", report.runId);
            put(out, "time", formatTime(report.at));
            put(out, "datacontenttype", "application/json");
            put(out, "sequence", std::to_string(report.number));
            put(out, "sequencetype", "Integer");
            out.Key("data");
            out.StartObject();
            out.Key("run");
            out.StartObject();
            putRun(out, facts.run);
            putFailure(out, facts.run, facts.failedStage);
            out.Key("kept");
            out.Bool(facts.run.kept);
            putResults(out, facts.results);
            out.EndObject();
            out.Key("stage");
            if (stage != nullptr)
            {
                out.StartObject();
                putDetail(out, *stage);
                out.EndObject();
            }
            else
                out.Null();
            if (facts.stages != nullptr)
            {
                out.Key("stages");
                out.StartArray();
                for (const Stage& one : *facts.stages)
                {
                    out.StartObject();
                    put(out, "id", one.id);
                    put(out, "type", toString(one.type));
                    put(out, "name", one.name);
                    put(out, "status", toString(one.status));
                    out.EndObject();
                }
                out.EndArray();
            }
            put(out, "actor", facts.actor);
            putOrNull(out, "reason", facts.reason);
            putOrNull(out, "repository", shownRepository(facts.repository));
            put(out, "runUrl", origin.url + "/#/runs/" + report.runId);
            putOrNull(out, "logUrl",
                      stage == nullptr ? "" : origin.url + "/api/stages/" + stage->id + "/log");
            out.EndObject();
        });
}

} // namespace agent
