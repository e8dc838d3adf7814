#include "agent/run/OpenPipelines.h"

#include <utility>

namespace agent
{

namespace
{

/// Pipelines of common size take some KiB, the largest a few MiB.
constexpr std::size_t mostAdded = 500;

} // namespace

void OpenPipelines::add(const std::string& runId, const Pipeline& pipeline)
{
    if (_pipelines.size() < mostAdded)
        _pipelines.emplace(runId, pipeline);
}

const Pipeline& OpenPipelines::of(const Run& run)
{
    auto kept = _pipelines.find(run.id);
    if (kept == _pipelines.end())
        kept = _pipelines.emplace(run.id, Pipeline::fromJson(run.pipeline)).first;
    return kept->second;
}

std::optional<Pipeline> OpenPipelines::replace(const std::string& runId, const Pipeline& pipeline)
{
    const auto kept = _pipelines.find(runId);
    if (kept == _pipelines.end())
    {
        _pipelines.emplace(runId, pipeline);
        return std::nullopt;
    }
    return std::exchange(kept->second, pipeline);
}

Pipeline OpenPipelines::peek(const Run& run) const
{
    const auto kept = _pipelines.find(run.id);
    return kept == _pipelines.end() ? Pipeline::fromJson(run.pipeline) : kept->second;
}

} // namespace agent
