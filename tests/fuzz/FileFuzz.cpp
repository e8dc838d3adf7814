// Pipeline files of repositories: whatever one says, a run of it keeps to what its service allows.
#include "agent/plugin/PluginRegistry.h"
#include "agent/run/FilePipeline.h"
#include "agent/run/Pipeline.h"
#include "tests/fuzz/FuzzFolder.h"

using fuzzed::require;

namespace
{

constexpr std::int64_t mostMs = 60'000;
constexpr std::int64_t mostPids = 10;

agent::PipelineSpec submitted()
{
    agent::PipelineSpec spec;
    spec.repository = "/srv/x";
    spec.env = {{"KEPT", "of the service"}};
    spec.isolation = agent::Isolation::Sandbox;
    spec.stages.push_back({.type = agent::StageType::Prepare, .plugin = "git"});
    agent::PipelineFile& file = spec.file.emplace();
    file.path = ".stage-agent.yaml";
    file.allow.limits.pids = mostPids;
    file.allow.timeoutMs = mostMs;
    return spec;
}

/// Of one plugin, which takes a command.
const agent::PluginRegistry& plugins(const fuzzed::Folder& folder)
{
    static const agent::PluginRegistry registry = [&]
    {
        std::filesystem::create_directories(folder.path() / "shell");
        static_cast<void>(folder.write(
            "shell/plugin.yaml", "name: shell\nrun: [a]\nsettings:\n  command: {type: string}\n"));
        agent::PluginRegistry loaded;
        std::vector<agent::Problem> problems;
        loaded.load(folder.path(), problems);
        require(problems.empty());
        return loaded;
    }();
    return registry;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const fuzzed::Folder folder;
    static const agent::PipelineSpec before = submitted();
    const auto parsed =
        agent::filePipeline(before, std::string(fuzzed::textOf(data, size)), plugins(folder), 0);
    for (const auto& problem : parsed.problems)
        require(problem.file == before.file->path && !problem.message.empty());
    if (!parsed.problems.empty())
    {
        require(!agent::summaryOf(parsed.problems).empty());
        return 0;
    }
    const agent::PipelineSpec& after = parsed.spec;
    require(!after.file && after.stages.size() > 1 && after.stages[0] == before.stages[0]);
    require(after.env.at("KEPT") == "of the service" && after.secrets.empty());
    require(after.isolation == before.isolation && after.binds.empty() &&
            after.network == before.network && after.repository == before.repository);
    for (std::size_t i = 1; i < after.stages.size(); ++i)
    {
        const agent::StageSpec& stage = after.stages[i];
        require(stage.plugin == "shell" && stage.limits.pids > 0 && stage.limits.pids <= mostPids);
        require(stage.timeoutMs && *stage.timeoutMs > 0 && *stage.timeoutMs <= mostMs);
        require(stage.approval.required || !agent::deploys(stage.type));
    }
    const agent::Pipeline pipeline(after);
    require(agent::Pipeline::fromJson(pipeline.json()).json() == pipeline.json());
    return 0;
}
