#pragma once

#include "agent/run/Batch.h"
#include "agent/run/CacheWorker.h"
#include "agent/run/RunSpecs.h"
#include "agent/run/StateFolder.h"
#include "agent/wire/Order.h"

#include <set>
#include <string>
#include <vector>

namespace agent
{

/// What the engine does about caches: has a stage restore them, and has them saved when its run ended well. See docs/caches.md.
/// Threads: the engine's.
class Caches
{
public:
    /// `worker`: null where nothing is cached.
    Caches(RunSpecs& specs, const StateFolder& state, CacheWorker* worker)
        : _specs(specs), _state(state), _worker(worker)
    {
    }

    /// Lets the command of `order` be executed when the stage's caches are restored. `stages`: those of the run.
    void prepare(Order& order, const Run& run, const Stage& stage,
                 const std::vector<Stage>& stages);

    /// The attempt at work in `stage` has ended: takes note of what it restored, after the commit.
    void stageEnded(Batch& batch, const Run& run, const Stage& stage);

    /// The run ended in SUCCESS: has its caches saved, after the commit.
    void runEnded(Batch& batch, const Run& run);

    /// Takes up what the last daemon was to save.
    void recover(Batch& batch);

    /// Removes caches until the disk is not low any more, after the commit. Returns whether there may be any.
    bool makeRoom(Batch& batch);

    /// Whether the workspace of the ended run is still to be read.
    [[nodiscard]] bool holds(const std::string& runId) const
    {
        return _worker != nullptr && (_promised.contains(runId) || _worker->holds(runId));
    }

private:
    [[nodiscard]] std::string report(const Stage& stage) const;
    void saveAfterCommit(Batch& batch, const CacheJob& job);

    RunSpecs& _specs;
    const StateFolder& _state;
    CacheWorker* _worker;
    std::set<std::string> _promised; ///< runs whose caches are to be saved after the commit
};

} // namespace agent
