#include "agent/run/CacheScopes.h"

#include "agent/os/Sha256.h"
#include "agent/run/OrderBuilder.h"

#include <algorithm>

namespace agent
{

namespace
{

constexpr std::size_t folderDigits = 32;

CacheScope ofBranch(const std::string& branch)
{
    return {.folder = folderNameOf("branch:" + branch), .name = branch};
}

CacheScope ofPull(std::int64_t number)
{
    return {.folder = folderNameOf("pull:" + std::to_string(number)),
            .name = "pull/" + std::to_string(number)};
}

bool ofPullRequest(const Run& run)
{
    return run.trigger == TriggerType::PrOpen || run.trigger == TriggerType::PrSync;
}

/// Whether what the run leaves belongs to its branch. What a file of the repository says is not known yet.
bool leavesSomething(const PipelineSpec& pipeline)
{
    return pipeline.file ||
           std::any_of(pipeline.stages.begin(), pipeline.stages.end(),
                       [](const StageSpec& stage)
                       { return !stage.caches.empty() || !stage.artifacts.paths.empty(); });
}

} // namespace

std::string folderNameOf(const std::string& text)
{
    Sha256 digest;
    digest.update(text);
    return toHex(digest.digest()).substr(0, folderDigits);
}

std::string claimedBranch(const PipelineSpec& pipeline, const Run& run)
{
    return run.branch.empty() ? pipeline.branch : run.branch;
}

bool proved(const std::string& branch, const PipelineSpec& pipeline,
            const std::vector<Stage>& stages)
{
    if (pipeline.repository.empty())
        return true; // what is executed stands on this host
    return std::any_of(stages.begin(), stages.end(),
                       [&](const Stage& stage)
                       {
                           const auto ordinal = static_cast<std::size_t>(stage.ordinal);
                           if (stage.plugin != "git" || stage.status != Status::Success ||
                               stage.cause != Cause::Exit || ordinal >= pipeline.stages.size())
                               return false;
                           const auto& with = pipeline.stages[ordinal].with;
                           const auto outputs = outputsFromJson(stage.outputs);
                           const auto told = outputs.find("branch");
                           return !with.contains("ref") && !with.contains("repository") &&
                                  told != outputs.end() && told->second == branch;
                       });
}

std::optional<std::string> provedBranchOf(const Run& run, const PipelineSpec& pipeline,
                                          const std::vector<Stage>& stages)
{
    std::string branch = claimedBranch(pipeline, run);
    if (run.serviceId.empty() || pipeline.fork || ofPullRequest(run) ||
        !proved(branch, pipeline, stages))
        return std::nullopt;
    return branch;
}

CacheRights cacheRightsOf(const Run& run, const PipelineSpec& pipeline,
                          const std::vector<Stage>& stages)
{
    CacheRights rights;
    if (run.serviceId.empty())
        return rights;
    rights.service = folderNameOf(run.serviceId);
    CacheScope base = ofBranch(pipeline.branch);
    if (pipeline.fork)
    {
        rights.reads = {pipeline.fork->base.empty() ? base : ofBranch(pipeline.fork->base)};
        return rights;
    }
    if (ofPullRequest(run) && run.pullNumber)
        rights.writes = ofPull(*run.pullNumber);
    else if (const auto branch = provedBranchOf(run, pipeline, stages))
        rights.writes = ofBranch(*branch);
    if (rights.writes)
        rights.reads.push_back(*rights.writes);
    if (!rights.writes || rights.writes->folder != base.folder)
        rights.reads.push_back(std::move(base));
    return rights;
}

std::string branchToTell(const PipelineSpec& pipeline, const Run& run)
{
    if (run.serviceId.empty() || pipeline.fork || run.commitHash.empty())
        return "";
    if (pipeline.workspace == WorkspaceMode::Fresh &&
        (ofPullRequest(run) || !leavesSomething(pipeline)))
        return "";
    return claimedBranch(pipeline, run);
}

} // namespace agent
