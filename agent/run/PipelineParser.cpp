#include "agent/run/PipelineParser.h"

#include "agent/document/DocumentValue.h"
#include "agent/plugin/PluginRegistry.h"
#include "agent/run/PipelineReader.h"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
#include <stdexcept>

namespace agent
{

namespace
{

using JsonWriter = rapidjson::Writer<rapidjson::StringBuffer>;

// `stages[i].with.<setting>` is the deepest key that a later check speaks of.
constexpr int deepestLine = 4;

void collectLines(const DocumentValue& value, int depth, KeyLines& lines)
{
    lines.emplace(value.path(), value.node().line);
    if (depth == deepestLine)
        return;
    if (value.node().kind == DocumentNode::Kind::List)
        for (const DocumentValue& item : value.list())
            collectLines(item, depth + 1, lines);
    if (value.node().kind == DocumentNode::Kind::Map)
        for (const DocumentValue& member : value.members())
            collectLines(member, depth + 1, lines);
}

/// The line of `key`, or of the nearest thing around it that the document has.
int lineOf(const KeyLines& lines, std::string key)
{
    for (;;)
    {
        if (const auto found = lines.find(key); found != lines.end())
            return found->second;
        if (key.empty())
            return 0;
        const std::size_t cut = key.find_last_of(".[");
        key.resize(cut == std::string::npos ? 0 : cut);
    }
}

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
    writeRetry(writer, stage.retry);
    writeLimits(writer, stage.limits);
    if (stage.approval)
    {
        writer.Key("approval");
        writer.String("required");
    }
    writeStrings(writer, "artifacts", stage.artifacts);
    writer.EndObject();
}

} // namespace

ParsedPipeline parsePipeline(const std::string& text, const std::string& file)
{
    ParsedPipeline parsed;
    const std::size_t first = text.find_first_not_of(" \t\r\n");
    const bool isJson = first != std::string::npos && text[first] == '{';
    const auto root =
        isJson ? parseJson(text, file, parsed.problems) : parseYaml(text, file, parsed.problems);
    if (!root)
        return parsed;
    const DocumentValue value(*root, "", file, parsed.problems);
    PipelineReader(PipelineReader::Source::Request).readPipeline(value, parsed.spec);
    collectLines(value, 0, parsed.lines);
    return parsed;
}

ParsedService parseService(const std::filesystem::path& file)
{
    ParsedService parsed;
    const std::string name = file.string();
    parsed.service.file = name;
    const auto text = readText(file, DocumentLimits{}.bytes, parsed.problems);
    const auto root = text ? parseYaml(*text, name, parsed.problems) : std::nullopt;
    if (!root)
        return parsed;
    const DocumentValue value(*root, "", name, parsed.problems);
    PipelineReader(PipelineReader::Source::Service).readService(value, parsed.service);
    collectLines(value, 0, parsed.lines);
    return parsed;
}

std::vector<Problem> checkPlugins(const PipelineSpec& spec, const PluginRegistry& registry,
                                  const std::string& file, const KeyLines& lines)
{
    std::vector<Problem> problems;
    for (std::size_t i = 0; i < spec.stages.size(); ++i)
    {
        const StageSpec& stage = spec.stages[i];
        const std::string key = "stages[" + std::to_string(i) + ']';
        for (Problem& problem : registry.check(stage, key))
            problems.push_back(std::move(problem));

        const Plugin* const plugin = registry.find(stage.plugin);
        if (plugin == nullptr)
            continue;
        for (const std::string& secret : spec.secrets)
            if (plugin->showsInArgv(secret))
                problems.push_back(
                    {.file = {},
                     .line = 0,
                     .key = key + ".plugin",
                     .message = "the plugin '" + plugin->name + "' has ${" + secret +
                                "} in its run, and an argument can be read by every user of the "
                                "host: its program should take the secret from its environment"});
        for (const SettingSpec& setting : plugin->settings)
            if (setting.required && setting.defaultFrom == "repository" &&
                spec.repository.empty() && !stage.with.contains(setting.name))
                problems.push_back(
                    {.file = {},
                     .line = 0,
                     .key = key + ".with." + setting.name,
                     .message = "the plugin '" + plugin->name +
                                "' requires it, and the pipeline has no repository"});
    }
    for (Problem& problem : problems)
    {
        problem.file = file;
        problem.line = lineOf(lines, problem.key);
    }
    return problems;
}

std::string toJson(const PipelineSpec& spec)
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
    writer.Key("stages");
    writer.StartArray();
    for (const StageSpec& stage : spec.stages)
        writeStage(writer, stage);
    writer.EndArray();
    writer.EndObject();
    return {buffer.GetString(), buffer.GetSize()};
}

PipelineSpec pipelineFromJson(const std::string& json)
{
    // What was accepted may be longer as JSON: every byte escaped, aliases expanded.
    constexpr std::size_t growth = 32;
    DocumentLimits limits;
    limits.bytes *= growth;
    limits.nodes *= growth;

    PipelineSpec spec;
    std::vector<Problem> problems;
    if (const auto root = parseJson(json, "", problems, limits))
        PipelineReader(PipelineReader::Source::Stored)
            .readPipeline(DocumentValue(*root, "", "", problems), spec);
    if (!problems.empty())
        throw std::runtime_error("stored pipeline: " + problems.front().describe());
    return spec;
}

} // namespace agent
