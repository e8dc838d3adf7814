#include "agent/Lint.h"

#include "agent/document/Document.h"
#include "agent/model/Suggestion.h"
#include "agent/run/FilePipeline.h"
#include "agent/run/PipelineKeys.h"

#include <algorithm>
#include <iostream>

namespace agent
{

namespace
{

/// What a run of any service would have: the file's own rules alone count.
PipelineSpec anyService(const std::string& text, const std::string& file)
{
    PipelineSpec spec;
    spec.repository = "/";
    spec.stages.push_back({.type = StageType::Prepare, .plugin = "git"});
    std::vector<std::string> used;
    std::vector<std::string> needed;
    for (const StageSpec& stage : parsePipelineFile(text, file).spec.stages)
    {
        used.push_back(stage.plugin);
        for (const std::string& secret : stage.secrets)
            spec.grants[secret]; // which a service may give to all
        for (const NeedSpec& need : stage.needs)
            needed.push_back(need.service);
    }
    spec.file = PipelineFile{.path = file,
                             .allow = {.plugins = std::move(used), .needs = std::move(needed)}};
    return spec;
}

/// Takes away what this host can't know: plugins that it does not have, unless their name looks like a slip of the pen.
void dropUnknown(ParsedPipeline& parsed, const PluginRegistry& plugins)
{
    std::vector<std::string_view> known;
    const auto all = plugins.all();
    for (const auto& [name, plugin] : all)
        known.push_back(name);
    for (std::size_t i = 1; i < parsed.spec.stages.size(); ++i)
    {
        const std::string& name = parsed.spec.stages[i].plugin;
        if (name.empty() || plugins.find(name) || !suggestion(name, known).empty())
            continue;
        const std::string key = "stages[" + std::to_string(i - 1) + "].plugin";
        std::erase_if(parsed.problems, [&](const Problem& one) { return one.key == key; });
        std::cout << key << ": the plugin '" << name
                  << "' is not on this host: its settings were not checked\n";
    }
}

} // namespace

int lint(const std::filesystem::path& file, const Service* service, const PluginRegistry& plugins,
         std::int64_t defaultTimeoutMs)
{
    std::vector<Problem> problems;
    const auto text = readText(file, pipelineBounds::file, problems);
    if (!text)
    {
        std::cerr << problems.front().describe() << '\n';
        return 2;
    }
    PipelineSpec submitted =
        service != nullptr ? service->pipeline : anyService(*text, file.string());
    submitted.file->path = file.string();
    ParsedPipeline parsed = filePipeline(submitted, *text, plugins, defaultTimeoutMs);
    if (service == nullptr)
        dropUnknown(parsed, plugins);
    for (const Problem& problem : parsed.problems)
        std::cerr << problem.describe() << '\n';
    if (!parsed.problems.empty())
        return 1;
    const std::size_t count = parsed.spec.stages.size() - 1;
    std::cout << file.string() << ": " << count << (count == 1 ? " stage" : " stages")
              << ", right\n";
    return 0;
}

} // namespace agent
