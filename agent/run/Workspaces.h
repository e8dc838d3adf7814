#pragma once

#include "agent/run/Batch.h"
#include "agent/run/Caches.h"
#include "agent/run/CleanupWorker.h"
#include "agent/run/RunSpecs.h"
#include "agent/run/StateFolder.h"

#include <filesystem>
#include <set>
#include <string>
#include <vector>

namespace agent
{

/// Where an attempt is executed.
struct WorkspacePlace
{
    std::filesystem::path folder;
    WorkspaceMode mode = WorkspaceMode::Fresh;

    /// Where the checkout is made instead, should the commit not be on `branch`; empty: it need not be.
    std::filesystem::path instead = {};
    std::string branch = {};
};

/// Which workspace a run has: one of its own, or one that its service keeps, which a run has for itself from its first stage
/// until it has ended and its caches are saved. Who has one is on record: docs/workspaces.md. Threads: the engine's.
class Workspaces
{
public:
    Workspaces(RunSpecs& specs, const StateFolder& state, CleanupWorker& cleanup,
               const Caches& caches, int slots)
        : _specs(specs), _state(state), _cleanup(cleanup), _caches(caches), _slots(slots)
    {
    }

    /// Returns where the attempt of `stage` that starts is executed; with the first of a run this is decided. `stages`: those
    /// of the run. `ofAgent`: the plugin is the agent's own git.
    WorkspacePlace placeFor(Batch& batch, const Run& run, const Stage& stage,
                            const std::vector<Stage>& stages, bool ofAgent);

    /// Returns the kept one that no run has had since this one; empty: there is none on disk.
    [[nodiscard]] std::filesystem::path keptFor(Batch& batch, const std::string& runId) const;

    /// Removes what keptFor() returns, after the commit; no run gets it before. `what`: told with its size; empty: nothing is.
    void discard(Batch& batch, const std::string& runId, const std::string& what = "");

    /// Removes those that no run on record has had: a daemon died before it could.
    void recover(Batch& batch);

private:
    [[nodiscard]] bool isCheckout(const Run& run, const Stage& stage, bool ofAgent) const;
    bool lease(Batch& batch, const Run& run, const PipelineSpec& pipeline, bool emptied);
    bool makeReady(Batch& batch, const std::string& path, bool emptied);

    RunSpecs& _specs;
    const StateFolder& _state;
    CleanupWorker& _cleanup;
    const Caches& _caches;
    const int _slots;
    std::set<std::string> _leaving; ///< to be removed after the commit
};

} // namespace agent
