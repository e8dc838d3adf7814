#include "agent/run/RunPipeline.h"

#include "agent/model/Declined.h"
#include "agent/run/PipelineParser.h"

namespace agent
{

PipelineSpec pipelineFor(const Service& service, TriggerType trigger,
                         const std::optional<Fork>& fork)
{
    PipelineSpec pipeline = service.pipeline;
    if (fork && !service.forksAllowed)
        throw Declined(Declined::Kind::Invalid, "forks_run_nothing",
                       "forks run nothing of the service '" + service.name +
                           "', unless it says forks: allow",
                       "fork");
    if (fork && !isPullRequest(trigger))
        throw Declined(Declined::Kind::Invalid, "invalid_value",
                       "a run of a fork is one of a pull request: PR_OPEN or PR_SYNC",
                       "triggerType");
    pipeline.secretless = isPullRequest(trigger) && (fork || !service.secretsForPullRequests);
    if (!fork)
        return pipeline;
    pipeline.fork = fork;
    if (pipeline.fork->base.empty())
        pipeline.fork->base = pipeline.branch;
    pipeline.binds.clear();
    std::erase_if(pipeline.stages, [](const StageSpec& stage) { return deploys(stage.type); });
    if (pipeline.stages.empty())
        throw Declined(Declined::Kind::Invalid, "invalid_pipeline",
                       "a fork's run has no DEPLOY stages, and there are no others", "fork");
    return pipeline;
}

std::string branchOfFork(std::int64_t pullNumber)
{
    return "pull/" + std::to_string(pullNumber);
}

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
