#pragma once

#include "agent/model/Token.h"
#include "agent/run/RunWriter.h"
#include "agent/run/Timers.h"

#include <string>

namespace agent
{

/// Who asks for a change, and what he may.
struct Actor
{
    std::string name; ///< as the history has it
    Role role = Role::Operate;
};

/// The approvals that stages wait for: docs/conditions.md. Threads: the engine's.
class Approvals
{
public:
    Approvals(RunSpecs& specs, RunWriter& writer, Timers& timers)
        : _specs(specs), _writer(writer), _timers(timers)
    {
    }

    /// Whether `stage`, which is next, may not start before a person approves it.
    [[nodiscard]] bool required(const Run& run, const Stage& stage)
    {
        return _specs.stage(run, stage).approval.required && !stage.approved;
    }

    /// Says that `actor` may decide about `stage`, as far as its approval goes.
    /// Errors: Declined, Forbidden, where the stage still needs an approval that is not his to give.
    void needApprover(const Run& run, const Stage& stage, const Actor& actor);

    /// Makes `stage` wait for a person. Writes the stage.
    void request(Batch& batch, const Run& run, Stage& stage);

    /// Sets the timer of a stage that waits, after a restart of the daemon.
    void resume(Batch& batch, const Run& run, const Stage& stage);

    /// The timer of `stage` is due. Returns true when the stage was ended by it.
    bool expired(Batch& batch, Stage& stage);

private:
    void setTimer(Batch& batch, const Stage& stage, std::int64_t delayMs);

    RunSpecs& _specs;
    RunWriter& _writer;
    Timers& _timers;
};

} // namespace agent
