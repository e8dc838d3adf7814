#include "agent/model/PipelineSpec.h"

#include "agent/model/Id.h"

namespace agent
{

std::vector<Stage> stagesOf(const PipelineSpec& pipeline, const Run& run)
{
    std::vector<Stage> stages;
    for (const auto& spec : pipeline.stages)
    {
        Stage stage;
        stage.id = newId();
        stage.runId = run.id;
        stage.ordinal = static_cast<int>(stages.size());
        stage.type = spec.type;
        stage.name = spec.name.empty() ? std::string(toString(spec.type)) : spec.name;
        stage.plugin = spec.plugin;
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
