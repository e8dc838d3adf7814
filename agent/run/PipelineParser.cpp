#include "agent/run/PipelineParser.h"

#include "agent/document/DocumentValue.h"
#include "agent/plugin/PluginRegistry.h"
#include "agent/run/PipelineReader.h"

namespace agent
{

namespace
{

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

} // namespace

ParsedPipeline parsePipeline(const std::optional<DocumentNode>& root, std::vector<Problem> problems)
{
    ParsedPipeline parsed{.spec = {}, .problems = std::move(problems)};
    if (root)
        PipelineReader(PipelineReader::Source::Request)
            .readPipeline(DocumentValue(*root, "", "", parsed.problems), parsed.spec);
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

        const auto plugin = registry.find(stage.plugin);
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

} // namespace agent
