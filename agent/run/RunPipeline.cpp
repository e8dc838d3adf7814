#include "agent/run/RunPipeline.h"

#include "agent/model/Declined.h"
#include "agent/run/PipelineParser.h"

namespace agent
{

void checkPipeline(PipelineSpec& pipeline, std::vector<Problem> problems,
                   const std::string& serviceName, TriggerType trigger,
                   const PluginRegistry& plugins, const IsolationPolicy& isolation,
                   const std::string& prefix)
{
    if (problems.empty())
        problems = checkPlugins(pipeline, plugins);
    if (problems.empty())
        problems = isolation.check(pipeline, serviceName);
    if (!problems.empty())
    {
        const auto& key = problems.front().key;
        std::string message;
        for (const auto& problem : problems)
            message += (message.empty() ? "" : "; ") +
                       (problem.key.empty() ? "" : problem.key + ": ") + problem.message;
        throw Declined(Declined::Kind::Invalid, "invalid_pipeline", message,
                       prefix + (key.empty() || prefix.empty() ? "" : ".") + key);
    }
    if (const auto problem = isolation.pullRequestProblem(trigger); !problem.empty())
        throw Declined(Declined::Kind::Invalid, "invalid_value", problem, "triggerType");
    if (!isPullRequest(trigger))
        return;
    pipeline.isolation = Isolation::Sandbox;
    if (pipeline.file)
        pipeline.file->deploys = false;
}

} // namespace agent
