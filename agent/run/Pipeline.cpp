#include "agent/run/Pipeline.h"

#include "agent/document/Document.h"
#include "agent/run/PipelineFileReader.h"
#include "agent/run/PipelineReader.h"
#include "agent/run/SecretKeys.h"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
#include <stdexcept>

namespace agent
{

namespace
{

using JsonWriter = rapidjson::Writer<rapidjson::StringBuffer>;

/// An accepted document may be longer as JSON: every byte escaped, aliases expanded, and the request's
/// variables beside those of the service.
constexpr std::size_t maxBytes = 32 * DocumentLimits{}.bytes;

void writeDuration(JsonWriter& writer, const char* key, std::int64_t ms)
{
    writer.Key(key);
    writer.String(std::to_string(ms) + "ms");
}

void writeDuration(JsonWriter& writer, const char* key, const std::optional<std::int64_t>& ms)
{
    if (ms)
        writeDuration(writer, key, *ms);
}

void writeSetting(JsonWriter& writer, const Setting& setting)
{
    switch (setting.kind)
    {
    case Setting::Kind::String:
        writer.String(setting.text);
        break;
    case Setting::Kind::Number:
        writer.RawValue(setting.text.data(), setting.text.size(), rapidjson::kNumberType);
        break;
    case Setting::Kind::Boolean:
        writer.Bool(setting.text == "true");
        break;
    case Setting::Kind::List:
        writer.RawValue(setting.text.data(), setting.text.size(), rapidjson::kArrayType);
        break;
    case Setting::Kind::Map:
        writer.RawValue(setting.text.data(), setting.text.size(), rapidjson::kObjectType);
        break;
    }
}

void writeStrings(JsonWriter& writer, const char* key, const std::vector<std::string>& strings)
{
    if (strings.empty())
        return;
    writer.Key(key);
    writer.StartArray();
    for (const std::string& text : strings)
        writer.String(text);
    writer.EndArray();
}

void writeRetry(JsonWriter& writer, const RetrySpec& retry)
{
    if (retry == RetrySpec{})
        return;
    writer.Key("retry");
    writer.StartObject();
    writer.Key("attempts");
    writer.Int(retry.attempts);
    writeDuration(writer, "delay", retry.delayMs);
    if (!retry.onExitCodes.empty() || !retry.onCauses.empty())
    {
        writer.Key("on");
        writer.StartArray();
        for (const int code : retry.onExitCodes)
            writer.Int(code);
        for (const Cause cause : retry.onCauses)
            writer.String(std::string(toString(cause)));
        writer.EndArray();
    }
    writer.Key("on_loss");
    writer.Bool(retry.onLoss);
    writer.EndObject();
}

void writeLimits(JsonWriter& writer, const Limits& limits)
{
    if (limits == Limits{})
        return;
    writer.Key("limits");
    writer.StartObject();
    if (limits.memoryBytes != 0)
    {
        writer.Key("memory");
        writer.Int64(limits.memoryBytes);
    }
    if (limits.cpuPercent != 0)
    {
        writer.Key("cpu");
        writer.String(std::to_string(limits.cpuPercent) + "%");
    }
    if (limits.pids != 0)
    {
        writer.Key("pids");
        writer.Int64(limits.pids);
    }
    writer.EndObject();
}

void writeWhen(JsonWriter& writer, const WhenSpec& when)
{
    if (when == WhenSpec{})
        return;
    writer.Key("when");
    writer.StartObject();
    writeStrings(writer, "branch", when.branches);
    std::vector<std::string> triggers;
    for (const TriggerType trigger : when.triggers)
        triggers.emplace_back(toString(trigger));
    writeStrings(writer, "trigger", triggers);
    if (when.run != RunsAfter::Success)
    {
        writer.Key("run");
        writer.String(std::string(toString(when.run)));
    }
    writer.EndObject();
}

void writeApproval(JsonWriter& writer, const ApprovalSpec& approval)
{
    if (approval == ApprovalSpec{})
        return;
    writer.Key("approval");
    writer.StartObject();
    writer.Key("required");
    writer.Bool(approval.required);
    writeDuration(writer, "expires", approval.expiresMs);
    writeStrings(writer, "by", approval.by);
    writer.EndObject();
}

void writeCaches(JsonWriter& writer, const std::vector<CacheSpec>& caches)
{
    if (caches.empty())
        return;
    writer.Key("cache");
    writer.StartArray();
    for (const CacheSpec& cache : caches)
    {
        writer.StartObject();
        writer.Key("key");
        writer.String(cache.key);
        writeStrings(writer, "restore", cache.restore);
        writeStrings(writer, "paths", cache.paths);
        writer.EndObject();
    }
    writer.EndArray();
}

void writeText(JsonWriter& writer, const char* key, const std::string& text)
{
    if (text.empty())
        return;
    writer.Key(key);
    writer.String(text);
}

void writeNeeds(JsonWriter& writer, const std::vector<NeedSpec>& needs)
{
    if (needs.empty())
        return;
    writer.Key("needs");
    writer.StartArray();
    for (const NeedSpec& need : needs)
    {
        writer.StartObject();
        writeText(writer, "service", need.service);
        writeText(writer, "branch", need.branch);
        writeText(writer, "artifacts", need.artifacts);
        writeText(writer, "to", need.to);
        if (need.optional)
        {
            writer.Key("optional");
            writer.Bool(true);
        }
        writer.EndObject();
    }
    writer.EndArray();
}

/// As a list where that says all, as releases before the map had it.
void writeArtifacts(JsonWriter& writer, const ArtifactSpec& artifacts)
{
    if (artifacts == ArtifactSpec{.paths = artifacts.paths})
        return writeStrings(writer, "artifacts", artifacts.paths);
    writer.Key("artifacts");
    writer.StartObject();
    writeStrings(writer, "paths", artifacts.paths);
    writeText(writer, "name", artifacts.name);
    writeDuration(writer, "keep", artifacts.keepMs);
    if (artifacts.when != RunsAfter::Success)
        writeText(writer, "when", std::string(toString(artifacts.when)));
    if (artifacts.required)
    {
        writer.Key("required");
        writer.Bool(true);
    }
    writer.EndObject();
}

void writeReports(JsonWriter& writer, const ReportSpec& reports)
{
    if (reports == ReportSpec{})
        return;
    writer.Key("reports");
    writer.StartObject();
    writeStrings(writer, "junit", reports.junit);
    writer.EndObject();
}

void writeStage(JsonWriter& writer, const StageSpec& stage)
{
    writer.StartObject();
    writer.Key("type");
    writer.String(std::string(toString(stage.type)));
    if (!stage.name.empty())
    {
        writer.Key("name");
        writer.String(stage.name);
    }
    writer.Key("plugin");
    writer.String(stage.plugin);
    if (!stage.with.empty())
    {
        writer.Key("with");
        writer.StartObject();
        for (const auto& [name, setting] : stage.with)
        {
            writer.Key(name.data(), static_cast<rapidjson::SizeType>(name.size()));
            writeSetting(writer, setting);
        }
        writer.EndObject();
    }
    writeDuration(writer, "timeout", stage.timeoutMs);
    writeDuration(writer, "silence", stage.silenceMs);
    writeDuration(writer, "grace", stage.graceMs);
    writeDuration(writer, "stuck_after", stage.stuckAfterMs);
    if (stage.output != StageOutput::Merged)
    {
        writer.Key("output");
        writer.String(std::string(toString(stage.output)));
    }
    writeRetry(writer, stage.retry);
    writeLimits(writer, stage.limits);
    writeWhen(writer, stage.when);
    writeApproval(writer, stage.approval);
    writeArtifacts(writer, stage.artifacts);
    writeReports(writer, stage.reports);
    writeCaches(writer, stage.caches);
    writeNeeds(writer, stage.needs);
    writeStrings(writer, "secrets", stage.secrets);
    writer.EndObject();
}

void writeIsolation(JsonWriter& writer, const PipelineSpec& spec)
{
    if (spec.isolation)
    {
        writer.Key("isolation");
        writer.String(std::string(toString(*spec.isolation)));
    }
    if (spec.network != Network::Host)
    {
        writer.Key("network");
        writer.String(std::string(toString(spec.network)));
    }
    std::vector<std::string> binds;
    for (const Bind& bind : spec.binds)
        binds.push_back(toString(bind));
    writeStrings(writer, "binds", binds);
}

void writeFile(JsonWriter& writer, const PipelineFile& file)
{
    writer.Key(storedFileKey);
    writer.StartObject();
    writer.Key("path");
    writer.String(file.path);
    writer.Key("deploys");
    writer.Bool(file.deploys);
    writer.Key("allow");
    writer.StartObject();
    writer.Key("plugins");
    writer.StartArray();
    for (const std::string& plugin : file.allow.plugins)
        writer.String(plugin);
    writer.EndArray();
    std::vector<std::string> types;
    for (const StageType type : file.allow.withoutApproval)
        types.emplace_back(toString(type));
    writeStrings(writer, "without_approval", types);
    writeLimits(writer, file.allow.limits);
    writeDuration(writer, "timeout", file.allow.timeoutMs);
    writeStrings(writer, "needs", file.allow.needs);
    writer.EndObject();
    writer.EndObject();
}

void writeGrants(JsonWriter& writer, const std::map<std::string, SecretGrant>& grants)
{
    if (grants.empty())
        return;
    writer.Key("grants");
    writer.StartObject();
    for (const auto& [name, grant] : grants)
    {
        std::vector<std::string> types;
        for (const StageType type : grant.types)
            types.emplace_back(toString(type));
        writer.Key(name.data(), static_cast<rapidjson::SizeType>(name.size()));
        writer.StartObject();
        writeStrings(writer, "types", types);
        writeStrings(writer, "branches", grant.branches);
        writer.EndObject();
    }
    writer.EndObject();
}

void writeGit(JsonWriter& writer, const GitCredential& git)
{
    if (git == GitCredential{})
        return;
    writer.Key("git");
    writer.StartObject();
    writeText(writer, "token", git.token);
    writeText(writer, "user", git.user);
    writeText(writer, "ssh_key", git.sshKey);
    writeText(writer, "known_hosts", git.knownHosts);
    writer.EndObject();
}

/// No keys of a document have this meaning: they are free to begin with x-, and are read of ours alone.
void writePullRequest(JsonWriter& writer, const PipelineSpec& spec)
{
    if (spec.secretless)
    {
        writer.Key(secretKeys::secretless);
        writer.Bool(true);
    }
    if (!spec.fork)
        return;
    writer.Key(secretKeys::fork);
    writer.StartObject();
    writeText(writer, "base", spec.fork->base);
    writer.EndObject();
}

std::string written(const PipelineSpec& spec)
{
    rapidjson::StringBuffer buffer;
    JsonWriter writer(buffer);
    writer.StartObject();
    if (!spec.repository.empty())
    {
        writer.Key("repository");
        writer.String(spec.repository);
    }
    if (!spec.branch.empty())
    {
        writer.Key("branch");
        writer.String(spec.branch);
    }
    if (!spec.env.empty())
    {
        writer.Key("env");
        writer.StartObject();
        for (const auto& [name, value] : spec.env)
        {
            writer.Key(name.data(), static_cast<rapidjson::SizeType>(name.size()));
            writer.String(value);
        }
        writer.EndObject();
    }
    writeStrings(writer, "secrets", spec.secrets);
    writeGrants(writer, spec.grants);
    writeGit(writer, spec.git);
    writePullRequest(writer, spec);
    writeIsolation(writer, spec);
    if (spec.file)
        writeFile(writer, *spec.file);
    if (spec.workspace != WorkspaceMode::Fresh)
    {
        writer.Key("workspace");
        writer.String(std::string(toString(spec.workspace)));
    }
    if (spec.supersede)
    {
        writer.Key("supersede");
        writer.Bool(true);
    }
    writer.Key("stages");
    writer.StartArray();
    for (const StageSpec& stage : spec.stages)
        writeStage(writer, stage);
    writer.EndArray();
    writer.EndObject();
    return {buffer.GetString(), buffer.GetSize()};
}

} // namespace

Pipeline::Pipeline(PipelineSpec spec)
{
    std::string json = written(spec);
    if (json.size() > maxBytes)
        throw std::runtime_error("the pipeline with its variables is longer than " +
                                 std::to_string(maxBytes) + " bytes of JSON");
    *this = Pipeline(std::move(spec), std::move(json));
}

Pipeline::Pipeline(PipelineSpec spec, std::string json)
    : _content(std::make_shared<const Content>(Content{std::move(spec), std::move(json)}))
{
}

Pipeline Pipeline::fromJson(std::string json)
{
    // Each value of it takes at least a byte, so that the limit of bytes is one of values too.
    const DocumentLimits limits{.bytes = maxBytes, .nodes = maxBytes};
    PipelineSpec spec;
    std::vector<Problem> problems;
    if (const auto root = parseJson(json, "", problems, limits))
        PipelineReader(PipelineReader::Source::Stored)
            .readPipeline(DocumentValue(*root, "", "", problems), spec);
    if (!problems.empty())
        throw std::runtime_error("stored pipeline: " + problems.front().describe());
    return Pipeline(std::move(spec), std::move(json));
}

} // namespace agent
