#pragma once

#include "agent/model/Stage.h"

#include <string>

namespace agent
{

class Engine;
struct Batch;
struct EngineParts;
struct Run;

namespace commands
{

/// Stops a run: what it does is ended, then come the stages that run after a failure. Those are ended too where the
/// run has failed already. Returns how many stages were ended by it, when none of their processes is left; 0 when
/// the run had ended.
/// Errors: Declined: NotFound, Unavailable; Conflict `processes_remain`, as patchStage().
int stop(Engine& engine, const std::string& runId, const std::string& actor);

/// What of a run a stop ended.
struct Stopped
{
    int stages = 0;
    std::string awaited;      ///< the stage whose processes must go first; empty: none
    bool decidedHere = false; ///< its end; else it was decided before
};

/// Writes the stop of a run that has not ended. `intent`: Stop or Supersede; `reason`: for history and stages.
Stopped stop(Batch& batch, EngineParts& parts, Run& run, Intent intent, const std::string& actor,
             const std::string& reason);

} // namespace commands

} // namespace agent
