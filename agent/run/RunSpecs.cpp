#include "agent/run/RunSpecs.h"

#include "agent/plugin/PluginRegistry.h"

namespace agent
{

const StageSpec& RunSpecs::stage(const Run& run, const Stage& stage)
{
    return pipeline(run).stages.at(static_cast<std::size_t>(stage.ordinal));
}

std::string RunSpecs::repository(const Run& run) const
try
{
    return _pipelines.peek(run).spec().repository;
}
catch (const std::runtime_error&)
{
    return "";
}

void RunSpecs::replace(Batch& batch, const std::string& runId, const Pipeline& pipeline)
{
    batch.onRollback(
        [this, runId, before = _pipelines.replace(runId, pipeline)]
        {
            if (before)
                _pipelines.replace(runId, *before);
            else
                _pipelines.forget(runId);
        });
}

bool RunSpecs::external(const Stage& stage) const
{
    const auto plugin = _plugins.find(stage.plugin);
    return plugin && plugin->kind == Plugin::Kind::External;
}

std::int64_t RunSpecs::graceMs(const Run& run, const Stage& stage)
{
    return this->stage(run, stage).graceMs.value_or(_options.orders.graceMs);
}

std::int64_t RunSpecs::timeoutMs(const Run& run, const Stage& stage)
{
    return this->stage(run, stage).timeoutMs.value_or(_options.orders.timeoutMs);
}

std::int64_t RunSpecs::stuckAfterMs(const Run& run, const Stage& stage)
{
    const auto byType = _options.stuckAfterByType.find(stage.type);
    return this->stage(run, stage)
        .stuckAfterMs.value_or(byType != _options.stuckAfterByType.end() ? byType->second
                                                                         : _options.stuckAfterMs);
}

std::string RunSpecs::masked(Batch& batch, const std::string& runId, const std::string& text) const
{
    const auto run = text.empty() ? std::nullopt : batch.runs.run(runId);
    if (!run)
        return text;
    try
    {
        return agent::masked(text, allSecrets(_pipelines.peek(*run).spec()),
                             _options.orders.secrets);
    }
    catch (const std::runtime_error&)
    {
        return text; // an unreadable pipeline names no secrets, and its run must end all the same
    }
}

} // namespace agent
