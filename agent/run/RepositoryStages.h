#pragma once

#include "agent/run/RunWriter.h"
#include "agent/run/StateFolder.h"

#include <string>

namespace agent
{

class PluginRegistry;

/// The file of an attempt's folder in which the git plugin hands the run's pipeline file over: see
/// plugins/git/PipelineFile.h.
inline constexpr const char* pipelineCopy = "pipeline.yaml";

/// Writes the stages of runs that have them in a file of their repository: docs/pipeline-in-repository.md.
/// Threads: the engine's.
class RepositoryStages
{
public:
    RepositoryStages(RunSpecs& specs, Reports& reports, const PluginRegistry& plugins,
                     const StateFolder& state)
        : _specs(specs), _reports(reports), _plugins(plugins), _state(state)
    {
    }

    /// `stage` has ended well and is not written yet. If it is the one that fetched the file, the run gets the other stages,
    /// in the same transaction.
    /// Returns why it can't count as ended well: the file is missing or wrong, and nothing was written; else empty.
    std::string take(Batch& batch, Run& run, const Stage& stage);

private:
    [[nodiscard]] std::string read(const Stage& stage, const PipelineSpec& submitted,
                                   std::string& text) const;
    void write(Batch& batch, Run& run, const Pipeline& pipeline, const std::string& path);

    RunSpecs& _specs;
    Reports& _reports;
    const PluginRegistry& _plugins;
    const StateFolder& _state;
};

} // namespace agent
