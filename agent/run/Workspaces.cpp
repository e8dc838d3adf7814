#include "agent/run/Workspaces.h"

#include "agent/run/AttemptSync.h"
#include "agent/run/CacheScopes.h"
#include "agent/store/KeptWorkspaces.h"

#include <algorithm>
#include <system_error>

namespace agent
{

namespace
{

namespace fs = std::filesystem;

/// Whose files a run may find: what a lower level left is never seen by a higher one.
std::string levelOf(const Run& run, const PipelineSpec& pipeline)
{
    if (pipeline.fork)
        return "forks";
    if (run.trigger == TriggerType::PrOpen || run.trigger == TriggerType::PrSync)
        return "pulls";
    return claimedBranch(pipeline, run) == pipeline.branch ? "default" : "branches";
}

/// Whether the run's claim to be of a branch is one that has to be proved. Nothing is lower than forks; without a repository
/// what is executed stands on this host.
bool needsProof(const PipelineSpec& pipeline)
{
    return !pipeline.repository.empty() && !pipeline.fork;
}

bool isFolder(const fs::path& path)
{
    std::error_code error;
    return fs::is_directory(fs::symlink_status(path, error));
}

bool isThere(const fs::path& path)
{
    std::error_code error;
    return fs::exists(fs::symlink_status(path, error));
}

/// Whether the next run may find what this one left: all of it is on disk, and its checkout did not fail, as it does where
/// something can't be removed.
bool leftWell(const std::vector<Stage>& stages)
{
    return !workspaceLost(stages) && std::none_of(stages.begin(), stages.end(),
                                                  [](const Stage& stage) {
                                                      return stage.plugin == "git" &&
                                                             stage.attempt > 0 &&
                                                             stage.status != Status::Success;
                                                  });
}

} // namespace

bool Workspaces::isCheckout(const Run& run, const Stage& stage, bool ofAgent) const
{
    const StageSpec& spec = _specs.stage(run, stage);
    return ofAgent && !spec.with.contains("ref") && !spec.with.contains("repository") &&
           spec.artifacts.paths.empty() && spec.reports.junit.empty();
}

WorkspacePlace Workspaces::placeFor(Batch& batch, const Run& run, const Stage& stage,
                                    const std::vector<Stage>& stages, bool ofAgent)
{
    WorkspacePlace own{.folder = _state.workspace(run.id)};
    const PipelineSpec& pipeline = _specs.pipeline(run);
    if (pipeline.workspace == WorkspaceMode::Fresh || run.serviceId.empty())
        return own;
    KeptWorkspaces record(batch.connection);
    const bool checkout = isCheckout(run, stage, ofAgent);
    if (!record.ofRun(run.id))
    {
        const bool first = std::all_of(stages.begin(), stages.end(),
                                       [&](const Stage& other) {
                                           return other.id == stage.id || other.attempt == 0 ||
                                                  _specs.external(other);
                                       });
        if (!first || stage.attempt > 1 || (needsProof(pipeline) && !checkout))
            return own;
        // Else the checkout makes it clean.
        const bool emptied = pipeline.workspace == WorkspaceMode::Clean && !checkout;
        if (!lease(batch, run, pipeline, emptied))
            return own;
    }
    const auto kept = record.ofRun(run.id);
    if (!kept || !kept->used || !kept->last)
        return own;
    WorkspacePlace place{.folder = _state.keptWorkspaces() / kept->path,
                         .mode = pipeline.workspace};
    if (!needsProof(pipeline))
        return place;
    if (checkout)
    {
        place.instead = own.folder;
        place.branch = claimedBranch(pipeline, run);
        return place;
    }
    if (proved(claimedBranch(pipeline, run), pipeline, stages))
        return place;
    record.turnAway(run.id);
    return own;
}

/// Takes the first that no run has. Where all are taken, the run has one of its own, as it is not to wait.
bool Workspaces::lease(Batch& batch, const Run& run, const PipelineSpec& pipeline, bool emptied)
{
    KeptWorkspaces record(batch.connection);
    const std::string beginning = folderNameOf(run.serviceId) + "/" + levelOf(run, pipeline) + "-";
    for (int number = 1; number <= _slots; ++number)
    {
        const std::string path = beginning + std::to_string(number);
        if (_leaving.contains(path) || !makeReady(batch, path, emptied))
            continue;
        record.take(run.id, path);
        return true;
    }
    return false;
}

/// Returns false where another run has it, or it can't be used.
bool Workspaces::makeReady(Batch& batch, const std::string& path, bool emptied)
{
    const auto holder = KeptWorkspaces(batch.connection).holder(path);
    if (holder && (!holder->ended || _caches.holds(holder->runId)))
        return false;
    const fs::path folder = _state.keptWorkspaces() / path;
    if (holder && !emptied && isFolder(folder) && leftWell(batch.runs.stages(holder->runId)))
        return true;
    // Now, as this run is to have it: should the batch be rolled back, the last holder finds that it is gone.
    if (isThere(folder))
        _cleanup.discard(folder);
    return !isThere(folder);
}

fs::path Workspaces::keptFor(Batch& batch, const std::string& runId) const
{
    const auto kept = KeptWorkspaces(batch.connection).ofRun(runId);
    if (!kept || !kept->last)
        return {};
    fs::path folder = _state.keptWorkspaces() / kept->path;
    return isThere(folder) ? folder : fs::path();
}

void Workspaces::discard(Batch& batch, const std::string& runId, const std::string& what)
{
    const fs::path folder = keptFor(batch, runId);
    if (folder.empty())
        return;
    const std::string path = folder.lexically_relative(_state.keptWorkspaces()).string();
    _leaving.insert(path);
    batch.onRollback([this, path] { _leaving.erase(path); });
    batch.afterCommit.push_back(
        [this, path, folder, what]
        {
            _leaving.erase(path);
            _cleanup.discard(folder, what);
        });
}

void Workspaces::recover(Batch& batch)
{
    using Entries = fs::directory_iterator;
    std::error_code error;
    KeptWorkspaces record(batch.connection);
    for (const auto& service : Entries(_state.keptWorkspaces(), error))
        for (const auto& workspace : Entries(service.path(), error))
        {
            const fs::path path = workspace.path().lexically_relative(_state.keptWorkspaces());
            if (!record.holder(path.string()))
                _cleanup.discard(workspace.path());
        }
}

} // namespace agent
