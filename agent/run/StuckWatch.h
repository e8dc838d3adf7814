#pragma once

#include "agent/run/RunWriter.h"
#include "agent/run/StageRunner.h"
#include "agent/run/StateFolder.h"
#include "agent/run/Timers.h"

#include <cstdint>
#include <string>

namespace agent
{

/// Finds running stages that are stuck and reports them; nothing is done about them. A stage is stuck
/// when it printed nothing for stage.stuck_after, when it runs three times longer than usual, or when it
/// is to end and its processes can't be killed. Source: docs/operating.md.
/// Threads: the engine's.
class StuckWatch
{
public:
    StuckWatch(RunSpecs& specs, RunWriter& writer, Timers& timers, const StateFolder& state,
               StageRunner& runner)
        : _specs(specs), _writer(writer), _timers(timers), _state(state), _runner(runner)
    {
    }

    /// From now on `stage` is checked.
    void watch(Batch& batch, const Run& run, const Stage& stage);

    /// Checks `stage` now and sets the timer of the next check.
    void check(Batch& batch, const Run& run, Stage& stage);

    /// Reports a stage that was to end and can't: it stays as it is, and so does its slot.
    void unkillable(Batch& batch, const UnkillableStage& found);

private:
    void report(Batch& batch, Stage& stage, const std::string& why);
    void checkIn(Batch& batch, const Stage& stage, std::int64_t delayMs);

    RunSpecs& _specs;
    RunWriter& _writer;
    Timers& _timers;
    const StateFolder& _state;
    StageRunner& _runner;
};

} // namespace agent
