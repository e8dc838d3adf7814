#include "agent/run/IsolationPolicy.h"

#include <algorithm>

#include <fnmatch.h>

namespace agent
{

bool isPullRequest(TriggerType trigger)
{
    return trigger == TriggerType::PrOpen || trigger == TriggerType::PrSync;
}

void IsolationPolicy::withoutSandbox(const std::string& why, bool chosen)
{
    hostLacks = why;
    noneAllowed = {"*"};
    if (!chosen)
        byDefault = Isolation::None;
}

Isolation IsolationPolicy::of(const PipelineSpec& pipeline, TriggerType trigger) const
{
    return isPullRequest(trigger) ? Isolation::Sandbox : pipeline.isolation.value_or(byDefault);
}

bool IsolationPolicy::noneIsPossible() const
{
    return byDefault == Isolation::None || !noneAllowed.empty();
}

std::vector<Problem> IsolationPolicy::check(const PipelineSpec& pipeline,
                                            const std::string& service) const
{
    std::vector<Problem> problems;
    const auto tell = [&problems](std::string key, std::string message)
    {
        if (!message.empty())
            problems.push_back(
                {.file = {}, .line = 0, .key = std::move(key), .message = std::move(message)});
    };
    const Isolation isolation = pipeline.isolation.value_or(byDefault);
    if (pipeline.isolation == Isolation::None)
        tell("isolation", noneProblem(service));
    if (pipeline.network == Network::None && isolation == Isolation::None)
        tell("network", pipeline.isolation ? "only a sandbox can be without a network: remove "
                                             "isolation: none"
                                           : "only a sandbox can be without a network, and "
                                             "isolation.default is none here: add isolation: "
                                             "sandbox");
    for (std::size_t i = 0; i < pipeline.binds.size(); ++i)
        tell("binds[" + std::to_string(i) + "]", bindProblem(pipeline.binds[i]));
    return problems;
}

std::string IsolationPolicy::pullRequestProblem(TriggerType trigger) const
{
    if (!isPullRequest(trigger) || hostLacks.empty())
        return "";
    return "a pull request is only executed in a sandbox, and this host can't make one: " +
           hostLacks;
}

std::string IsolationPolicy::noneProblem(const std::string& service) const
{
    if (byDefault == Isolation::None)
        return "";
    if (service.empty())
        return "an inline pipeline is always executed in a sandbox: declare it as a service, and "
               "name that in isolation.none_allowed";
    const bool allowed =
        std::any_of(noneAllowed.begin(), noneAllowed.end(),
                    [&](const std::string& pattern)
                    { return ::fnmatch(pattern.c_str(), service.c_str(), FNM_NOESCAPE) == 0; });
    return allowed ? ""
                   : "the agent's configuration does not name '" + service +
                         "' in isolation.none_allowed";
}

std::string IsolationPolicy::bindProblem(const Bind& bind) const
{
    const auto listed = std::find_if(bindable.begin(), bindable.end(),
                                     [&](const Bind& one) { return one.path == bind.path; });
    if (listed == bindable.end())
        return "'" + bind.path + "' is not among isolation.binds of the agent's configuration";
    return bind.writable && !listed->writable
               ? "isolation.binds of the agent's configuration has '" + bind.path +
                     "' read-only: without :rw here, or with it there"
               : "";
}

} // namespace agent
