#include "agent/run/SecretGrants.h"

#include "agent/model/Token.h"

#include <algorithm>

namespace agent
{

namespace
{

std::string branchOf(const PipelineSpec& pipeline, const Run& run)
{
    return run.branch.empty() ? pipeline.branch : run.branch;
}

std::string listOf(const std::vector<StageType>& types)
{
    std::string list;
    for (const StageType type : types)
        list += (list.empty() ? "" : ", ") + std::string(toString(type));
    return list;
}

/// Returns why the grant does not hold; empty when it does.
std::string withheldBecause(const SecretGrant& grant, StageType type, const std::string& branch)
{
    if (!grant.types.empty() &&
        std::find(grant.types.begin(), grant.types.end(), type) == grant.types.end())
        return "grants does not give it to stages of the type " + std::string(toString(type));
    if (grant.branches.empty() || matchesAny(grant.branches, branch))
        return "";
    return branch.empty() ? "grants gives it to branches, and the run names none"
                          : "grants does not give it to the branch " + branch;
}

} // namespace

std::string secretProblem(const PipelineSpec& pipeline, const std::string& name, StageType type)
{
    if (std::find(pipeline.secrets.begin(), pipeline.secrets.end(), name) != pipeline.secrets.end())
        return "is given to every stage by the secrets of the service";
    const auto grant = pipeline.grants.find(name);
    if (grant == pipeline.grants.end() || grant->second.types.empty())
        return "";
    const auto& types = grant->second.types;
    return std::find(types.begin(), types.end(), type) == types.end()
               ? "is granted to stages of the types " + listOf(types) + " only"
               : "";
}

std::string grantProblem(const PipelineSpec& pipeline, const std::string& name, StageType type)
{
    return pipeline.grants.contains(name) ? secretProblem(pipeline, name, type)
                                          : "is none that the service's grants give to this file";
}

std::vector<std::string> masksOf(const PipelineSpec& pipeline)
{
    if (!pipeline.secretless)
        return allSecrets(pipeline);
    PipelineSpec bare; // who gets none can't show any
    bare.git = pipeline.git;
    return allSecrets(bare);
}

StageSecrets secretsFor(const PipelineSpec& pipeline, const StageSpec& stage, const Run& run)
{
    StageSecrets secrets;
    const std::string branch = branchOf(pipeline, run);
    for (const auto* names : {&pipeline.secrets, &stage.secrets})
        for (const std::string& name : *names)
        {
            const auto grant = pipeline.grants.find(name);
            std::string why;
            if (pipeline.secretless || pipeline.fork)
                why = pipeline.fork ? "a fork's run has none" : "a pull request's run has none";
            else if (grant != pipeline.grants.end())
                why = withheldBecause(grant->second, stage.type, branch);
            if (why.empty())
                secrets.given.push_back(name);
            else
                secrets.withheld.emplace(name, why);
        }
    return secrets;
}

std::string branchToProve(const PipelineSpec& pipeline, const Run& run)
{
    const std::string branch = branchOf(pipeline, run);
    if (pipeline.secretless || pipeline.fork || run.commitHash.empty() || branch.empty())
        return "";
    for (const std::string& name : allSecrets(pipeline))
        if (const auto grant = pipeline.grants.find(name);
            grant != pipeline.grants.end() && matchesAny(grant->second.branches, branch))
            return branch;
    return "";
}

} // namespace agent
