#pragma once

#include "agent/run/RunWriter.h"
#include "agent/run/Timers.h"

namespace agent
{

/// Further attempts of a failed stage, as its `retry` says. During the delay the stage is IDLE and its
/// run IN_PROGRESS. Threads: the engine's.
class Retries
{
public:
    Retries(RunSpecs& specs, RunWriter& writer, Timers& timers)
        : _specs(specs), _writer(writer), _timers(timers)
    {
    }

    /// `stage` has just failed and is not written yet. Makes it IDLE for another attempt where its retry
    /// says so, and writes it then.
    /// Returns whether it did.
    bool plan(Batch& batch, const Run& run, Stage& stage);

    /// The delay of `stage` is over. Returns whether it was waiting for that.
    static bool due(Batch& batch, Stage& stage);

    /// `stage` waits for its next attempt, and there will be none. Gives it back its last attempt's end, but not
    /// the status. Returns what is to be said of it.
    static std::string giveUp(Batch& batch, Stage& stage);

    /// Sets the timer of a stage that waits for its next attempt, after a restart of the daemon.
    void resume(Batch& batch, const Run& run, const Stage& stage);

private:
    void setTimer(Batch& batch, const Stage& stage, std::int64_t delayMs);

    RunSpecs& _specs;
    RunWriter& _writer;
    Timers& _timers;
};

} // namespace agent
