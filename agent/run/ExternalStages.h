#pragma once

#include "agent/run/RunWriter.h"
#include "agent/run/Timers.h"

namespace agent
{

/// The time limit of external stages, which have no shim to keep it. Threads: the engine's.
class ExternalStages
{
public:
    ExternalStages(RunSpecs& specs, RunWriter& writer, Timers& timers)
        : _specs(specs), _writer(writer), _timers(timers)
    {
    }

    /// The time of `stage` counts from its startedAt; replaces what was set before.
    void watch(Batch& batch, const Run& run, const Stage& stage);

    /// The timer of `stage` is due. Returns true when the stage was ended by it.
    bool timedOut(Batch& batch, const Run& run, Stage& stage);

private:
    RunSpecs& _specs;
    RunWriter& _writer;
    Timers& _timers;
};

} // namespace agent
