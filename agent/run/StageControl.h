#pragma once

#include "agent/run/EngineParts.h"
#include "agent/run/StagePatch.h"

#include <optional>
#include <string>

// What several commands do with a stage. All of it runs on the engine's thread.
namespace agent::commands
{

/// Returns the first stage before `stage` that did not succeed; nothing when `stage` is next.
std::optional<Stage> unfinishedBefore(Batch& batch, const Stage& stage);

/// Errors: Declined, Conflict, where the workspace that the run needs to go on was removed.
void needWorkspace(Batch& batch, const EngineParts& parts, const Run& run);

/// Errors: Declined, Conflict, where the run would go on without stages: `stage` is to read them from the repository.
void needStages(const EngineParts& parts, const Run& run, const Stage& stage);

/// Starts a stage that is IDLE or awaits approval, and opens its run again where that has ended. Writes the
/// stage; the run is written by the caller.
/// Errors: Declined: Conflict, Unavailable.
void startByHand(Batch& batch, EngineParts& parts, Run& run, Stage& stage, const std::string& actor,
                 const std::string& reason);

/// Writes what is to become of a running stage; its runner is asked to end it after the commit.
/// Errors: Declined, Invalid.
void decideEnd(Batch& batch, EngineParts& parts, const Run& run, Stage& stage, Intent intent,
               const StagePatch& patch);

} // namespace agent::commands
