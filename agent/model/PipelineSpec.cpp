#include "agent/model/PipelineSpec.h"

#include "agent/model/Conditions.h"
#include "agent/model/Id.h"

#include <algorithm>
#include <array>
#include <utility>

namespace agent
{

namespace
{

constexpr std::array<std::pair<RunsAfter, std::string_view>, 3> courses{
    {{RunsAfter::Success, "success"},
     {RunsAfter::Failure, "failure"},
     {RunsAfter::Always, "always"}}};

constexpr std::array<std::pair<WorkspaceMode, std::string_view>, 3> modes{
    {{WorkspaceMode::Fresh, "fresh"},
     {WorkspaceMode::Clean, "clean"},
     {WorkspaceMode::Reuse, "reuse"}}};

} // namespace

std::string_view toString(RunsAfter after)
{
    return courses[static_cast<std::size_t>(after)].second;
}

std::optional<RunsAfter> runsAfterFrom(std::string_view text)
{
    for (const auto& [after, name] : courses)
        if (name == text)
            return after;
    return std::nullopt;
}

std::string_view toString(WorkspaceMode mode)
{
    return modes[static_cast<std::size_t>(mode)].second;
}

std::optional<WorkspaceMode> workspaceModeFrom(std::string_view text)
{
    for (const auto& [mode, name] : modes)
        if (name == text)
            return mode;
    return std::nullopt;
}

std::string artifactNameOf(const StageSpec& stage)
{
    if (!stage.artifacts.name.empty())
        return stage.artifacts.name;
    return stage.name.empty() ? std::string(toString(stage.type)) : stage.name;
}

std::vector<std::string> allSecrets(const PipelineSpec& pipeline)
{
    std::vector<std::string> names;
    const auto add = [&](const std::string& name)
    {
        if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end())
            names.push_back(name);
    };
    std::for_each(pipeline.secrets.begin(), pipeline.secrets.end(), add);
    for (const StageSpec& stage : pipeline.stages)
        std::for_each(stage.secrets.begin(), stage.secrets.end(), add);
    if (pipeline.file) // its stages may name them
        for (const auto& [name, grant] : pipeline.grants)
            add(name);
    add(pipeline.git.token);
    add(pipeline.git.sshKey);
    return names;
}

std::vector<Stage> stagesOf(const PipelineSpec& pipeline, const Run& run)
{
    std::vector<Stage> stages;
    for (const auto& spec : pipeline.stages)
    {
        Stage stage;
        stage.id = newIdBeside(run.id);
        stage.runId = run.id;
        stage.ordinal = static_cast<int>(stages.size());
        stage.type = spec.type;
        stage.name = spec.name.empty() ? std::string(toString(spec.type)) : spec.name;
        stage.plugin = spec.plugin;
        stage.skipped = skipReason(spec.when, run, pipeline);
        stage.createdAt = stage.updatedAt = run.createdAt;
        stages.push_back(std::move(stage));
    }
    return stages;
}

std::string Problem::describe() const
{
    std::string text = file;
    if (line > 0)
        text += (text.empty() ? "line " : ":") + std::to_string(line);
    if (line > 0 && column > 0)
        text += ":" + std::to_string(column);
    for (const auto* part : {&key, &message})
        if (!part->empty())
            text += (text.empty() ? "" : ": ") + *part;
    return text;
}

} // namespace agent
