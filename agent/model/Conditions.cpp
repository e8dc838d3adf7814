#include "agent/model/Conditions.h"

#include "agent/model/Token.h"

namespace agent
{

const std::string& branchOf(const Run& run, const PipelineSpec& pipeline)
{
    return run.branch.empty() ? pipeline.branch : run.branch;
}

std::string skipReason(const WhenSpec& when, const Run& run, const PipelineSpec& pipeline)
{
    const std::string& branch = branchOf(run, pipeline);
    if (!when.branches.empty() && (branch.empty() || !matchesAny(when.branches, branch)))
        return branch.empty() ? "the run has no branch" : "branch is " + branch;
    for (const TriggerType trigger : when.triggers)
        if (trigger == run.trigger)
            return "";
    return when.triggers.empty() ? "" : "trigger is " + std::string(toString(run.trigger));
}

} // namespace agent
