#pragma once

#include "agent/run/RunWriter.h"

namespace agent
{

/// The approvals that stages wait for. Threads: the engine's.
class Approvals
{
public:
    Approvals(RunSpecs& specs, RunWriter& writer) : _specs(specs), _writer(writer) {}

    /// Whether `stage`, which is next, may not start before a person approves it.
    [[nodiscard]] bool required(const Run& run, const Stage& stage)
    {
        return _specs.stage(run, stage).approval && !stage.approved;
    }

    /// Makes `stage` wait for a person. Writes the stage.
    void request(Batch& batch, Stage& stage);

private:
    RunSpecs& _specs;
    RunWriter& _writer;
};

} // namespace agent
