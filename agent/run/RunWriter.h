#pragma once

#include "agent/run/Caches.h"
#include "agent/run/Needs.h"
#include "agent/run/Reports.h"
#include "agent/run/RunSpecs.h"

#include <string>

namespace agent
{

/// The actor of changes that no person asked for.
inline constexpr const char* agentActor = "agent";

/// Writes changes of runs and stages together with their history and reports, and marks the effects in the batch.
/// Reasons are masked. Threads: the engine's.
class RunWriter
{
public:
    RunWriter(RunSpecs& specs, Reports& reports, Caches& caches, Needs& needs)
        : _specs(specs), _reports(reports), _caches(caches), _needs(needs)
    {
    }

    /// Writes the run, which has not ended, and a history entry where its status changed.
    void setStatus(Batch& batch, Run& run, Status status, const std::string& actor,
                   const std::string& reason);

    /// Writes the end of the run.
    void endRun(Batch& batch, Run& run, Status status, const std::string& actor,
                const std::string& reason);

    /// Writes the history entry of a change of `stage`; the stage itself is written by the caller.
    void stageChanged(Batch& batch, const Stage& stage, Status from, const std::string& actor,
                      const std::string& reason);

    /// Ends a stage that has no process (never had one, or is an external one). Writes the stage.
    void endStage(Batch& batch, Stage& stage, Status status, Cause cause, const std::string& actor,
                  const std::string& reason);

    /// Reports that the run has another commit than it was submitted with: the git plugin found it. The row is the
    /// caller's to write.
    void commitResolved(Batch& batch, const Run& run);

private:
    void write(Batch& batch, Run& run, Status status, const char* event, const std::string& actor,
               const std::string& reason);

    RunSpecs& _specs;
    Reports& _reports;
    Caches& _caches;
    Needs& _needs;
};

} // namespace agent
