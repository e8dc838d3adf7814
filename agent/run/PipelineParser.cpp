#include "agent/run/PipelineParser.h"

#include "agent/document/DocumentValue.h"
#include "agent/plugin/PluginRegistry.h"
#include "agent/run/PipelineKeys.h"
#include "agent/run/PipelineReader.h"

namespace agent
{

namespace
{

// `stages[i].with.<setting>` is the deepest key that a later check speaks of.
constexpr int deepestLine = 4;

void collectPlaces(const DocumentValue& value, int depth, KeyPlaces& places)
{
    places.emplace(value.path(), Place{value.node().line, value.node().column});
    if (depth == deepestLine)
        return;
    if (value.node().kind == DocumentNode::Kind::List)
        for (const DocumentValue& item : value.list())
            collectPlaces(item, depth + 1, places);
    if (value.node().kind == DocumentNode::Kind::Map)
        for (const DocumentValue& member : value.members())
            collectPlaces(member, depth + 1, places);
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

ParsedPipeline parsePipelineFile(const std::string& text, const std::string& file)
{
    ParsedPipeline parsed;
    const DocumentLimits limits{.bytes = pipelineBounds::file, .columns = true};
    const auto root = parseYaml(text, file, parsed.problems, limits);
    if (!root)
        return parsed;
    const DocumentValue value(*root, "", file, parsed.problems);
    PipelineReader(PipelineReader::Source::File).readFile(value, parsed.spec);
    collectPlaces(value, 0, parsed.places);
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
    collectPlaces(value, 0, parsed.places);
    return parsed;
}

void findPlace(Problem& problem, const KeyPlaces& places)
{
    for (std::string key = problem.key;;)
    {
        if (const auto found = places.find(key); found != places.end())
        {
            problem.line = found->second.line;
            problem.column = found->second.column;
            return;
        }
        if (key.empty())
            return;
        const std::size_t cut = key.find_last_of(".[");
        key.resize(cut == std::string::npos ? 0 : cut);
    }
}

std::vector<Problem> checkPlugins(const PipelineSpec& spec, const PluginRegistry& registry,
                                  const std::string& file, const KeyPlaces& places)
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
        std::vector<std::string> secrets = spec.secrets;
        secrets.insert(secrets.end(), stage.secrets.begin(), stage.secrets.end());
        for (const std::string& secret : secrets)
            if (plugin->showsInArgv(secret))
                problems.push_back(
                    {.file = {},
                     .line = 0,
                     .key = key + ".plugin",
                     .message = "the plugin '" + plugin->name + "' has ${" + secret +
                                "} in its run, and an argument can be read by every user of the "
                                "host: its program should take the secret from its environment"});
        if (plugin->kind == Plugin::Kind::External && !stage.needs.empty())
            problems.push_back({.file = {},
                                .line = 0,
                                .key = key + ".needs",
                                .message = "the plugin '" + plugin->name +
                                           "' executes nothing here: there is no use for them"});
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
        findPlace(problem, places);
    }
    return problems;
}

} // namespace agent
