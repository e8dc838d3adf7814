#pragma once

#include "agent/model/Lifecycle.h"
#include "agent/model/PipelineSpec.h"
#include "agent/model/Run.h"
#include "agent/run/Batch.h"
#include "agent/run/EngineOptions.h"
#include "agent/run/OpenPipelines.h"

#include <cstdint>
#include <string>

namespace agent
{

class PluginRegistry;

/// What a stage was submitted with, completed by the configuration.
/// Errors: std::runtime_error where the pipeline of the run can't be read from the record.
/// Threads: the engine's.
class RunSpecs
{
public:
    RunSpecs(const EngineOptions& options, const PluginRegistry& plugins)
        : _options(options), _plugins(plugins)
    {
    }

    [[nodiscard]] const OrderDefaults& orders() const { return _options.orders; }
    [[nodiscard]] std::int64_t artifactsKeepMs() const { return _options.retention.artifactsMs; }

    /// Valid until release() and replace().
    const PipelineSpec& pipeline(const Run& run) { return _pipelines.of(run).spec(); }

    /// Returns where the run's pipeline has its sources; empty where it says nothing, or can't be read.
    [[nodiscard]] std::string repository(const Run& run) const;

    /// Hands on the pipeline of a new run, after its commit.
    void keep(const std::string& runId, const Pipeline& pipeline)
    {
        _pipelines.add(runId, pipeline);
    }

    /// Has another pipeline for the run: its stages were read. `batch` takes that back where it is rolled back.
    void replace(Batch& batch, const std::string& runId, const Pipeline& pipeline);

    /// Valid until release().
    const StageSpec& stage(const Run& run, const Stage& stage);

    /// Whether the other stages of the run stand in its repository, and were not read yet.
    [[nodiscard]] bool stagesUnread(const Run& run) const
    {
        return _pipelines.peek(run).spec().file.has_value();
    }

    /// Drops what is kept of a run that ended.
    void release(const std::string& runId) { _pipelines.forget(runId); }

    /// Whether the plugin of `stage` is the one without code.
    [[nodiscard]] bool external(const Stage& stage) const;
    [[nodiscard]] StageState state(const Stage& stage) const
    {
        return stateOf(stage, external(stage));
    }

    // 0: none.
    std::int64_t graceMs(const Run& run, const Stage& stage);
    std::int64_t timeoutMs(const Run& run, const Stage& stage);
    std::int64_t stuckAfterMs(const Run& run, const Stage& stage);

    /// Returns `text` without the secrets that the stages of the run have: the record is shown and kept.
    std::string masked(Batch& batch, const std::string& runId, const std::string& text) const;

private:
    const EngineOptions& _options;
    const PluginRegistry& _plugins;
    OpenPipelines _pipelines;
};

} // namespace agent
