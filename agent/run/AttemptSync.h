#pragma once

#include "agent/run/Batch.h"
#include "agent/run/StageRunner.h"
#include "agent/run/StateFolder.h"
#include "agent/run/SyncWorker.h"

#include <chrono>
#include <string>
#include <vector>

namespace agent
{

/// Says whether a power cut may have taken files out of the run's workspace: one of its attempts was launched
/// in another boot, and was not on disk when that ended. Nothing of the run may be executed there any more.
[[nodiscard]] bool workspaceLost(const std::vector<Stage>& stages);

/// Keeps account of which attempts are on disk: `synced` in their rows. See docs/durability.md.
/// Threads: the engine's.
class AttemptSync
{
public:
    AttemptSync(const StateFolder& state, StageRunner& runner);

    /// The attempt at work in `stage` has ended so: sets its `synced` and its note, and has it synced after the
    /// commit.
    void ended(Batch& batch, Stage& stage, const Outcome& outcome);

    /// Has the ended attempt synced, after the commit.
    void add(Batch& batch, const Stage& stage);

    /// Returns what was synced, or failed to be, since the last call.
    std::vector<SyncWorker::Result> take() { return _worker.take(); }

    /// As take(), once all is synced or `patience` is over.
    std::vector<SyncWorker::Result> finish(std::chrono::milliseconds patience);

    static void record(Batch& batch, const SyncWorker::Result& result);

private:
    const StateFolder& _state;
    const std::string _bootId;
    SyncWorker _worker;
};

} // namespace agent
