#include "agent/run/RepositoryStages.h"

#include "agent/os/RegularFile.h"
#include "agent/run/FilePipeline.h"
#include "agent/run/InputRules.h"
#include "agent/run/PipelineKeys.h"
#include "agent/wire/Failpoint.h"

#include <stdexcept>

namespace agent
{

namespace
{

constexpr std::size_t mostBefore = 4096; ///< bytes of the line before the file's text

} // namespace

std::string RepositoryStages::take(Batch& batch, Run& run, const Stage& stage)
{
    const PipelineSpec& submitted = _specs.pipeline(run);
    if (!submitted.file || stage.ordinal != 0)
        return "";
    const std::string path = submitted.file->path;
    std::string text;
    if (std::string why = read(stage, submitted, text); !why.empty())
        return path + ": " + why;
    FAILPOINT("pipeline.read");
    ParsedPipeline parsed = filePipeline(submitted, text, _plugins, _specs.orders().timeoutMs);
    if (!parsed.problems.empty())
        return summaryOf(parsed.problems);
    Pipeline pipeline;
    try
    {
        pipeline = Pipeline(std::move(parsed.spec));
    }
    catch (const std::runtime_error& error) // too long
    {
        return path + ": " + error.what();
    }
    write(batch, run, pipeline, path);
    FAILPOINT("pipeline.written");
    return "";
}

/// Returns why there is no text.
std::string RepositoryStages::read(const Stage& stage, const PipelineSpec& submitted,
                                   std::string& text) const
try
{
    const auto copy = readRegularFile(_state.attempt(stage, stage.attempt) / pipelineCopy,
                                      pipelineBounds::file + mostBefore);
    const std::size_t end = copy ? copy->find('\n') : std::string::npos;
    if (end == std::string::npos)
        return "was not handed over by the plugin " + submitted.stages.at(0).plugin;
    if (!copy->starts_with("file "))
        return fittedText(copy->substr(0, end), bounds::reason);
    text = copy->substr(end + 1);
    return "";
}
catch (const std::runtime_error& error) // a stage without a sandbox may have written there
{
    return std::string("can't be read: ") + error.what();
}

void RepositoryStages::write(Batch& batch, Run& run, const Pipeline& pipeline,
                             const std::string& path)
{
    run.pipeline = pipeline.json();
    _specs.replace(batch, run.id, pipeline);
    auto stages = stagesOf(pipeline.spec(), run);
    stages.erase(stages.begin()); // the one that fetched them
    for (Stage& stage : stages)
    {
        stage.createdAt = stage.updatedAt = nowMs();
        batch.runs.insert(stage);
    }
    batch.update(run, true);
    batch.changedRuns.insert(run.id);
    const std::string status(toString(run.status));
    const std::string said = std::to_string(stages.size()) +
                             (stages.size() == 1 ? " stage" : " stages") + " from " + path;
    batch.history.append({.at = run.updatedAt,
                          .runId = run.id,
                          .actor = agentActor,
                          .from = status,
                          .to = status,
                          .reason = said});
    _reports.ofRun(batch, reportEvents::runChanged, run, agentActor, said);
}

} // namespace agent
