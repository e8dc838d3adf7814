#pragma once

#include "agent/run/EngineParts.h"
#include "agent/run/StagePatch.h"

#include <optional>
#include <string>

// What several commands do with a stage. All of it runs on the engine's thread.
namespace agent::commands
{

/// Returns the first stage before `stage` that is not done; nothing when `stage` is next.
std::optional<Stage> unfinishedBefore(Batch& batch, const Stage& stage);

/// Errors: Declined, Conflict, where the workspace that the run needs to go on was removed.
void needWorkspace(Batch& batch, const EngineParts& parts, const Run& run);

/// Errors: Declined, Conflict, where the run would go on without stages: `stage` is to read them from the repository.
void needStages(const EngineParts& parts, const Run& run, const Stage& stage);

/// Errors: Declined, Conflict, while a run that has failed is at its last stages.
void needNotFinishing(const Run& run);

/// The stages behind `ordinal` that run after failures have their turn again, as the run goes on before them.
void clearLastStages(Batch& batch, EngineParts& parts, const Run& run, int ordinal,
                     const Actor& actor, const std::string& reason);

/// Starts a stage that is IDLE or awaits approval, and opens its run again where that has ended. Writes the
/// stage; the run is written by the caller.
/// Errors: Declined: Forbidden, Conflict, Unavailable.
void startByHand(Batch& batch, EngineParts& parts, Run& run, Stage& stage, const Actor& actor,
                 const std::string& reason);

/// Writes what is to become of a running stage; its runner is asked to end it after the commit.
/// Errors: Declined, Invalid.
void decideEnd(Batch& batch, EngineParts& parts, const Run& run, Stage& stage, Intent intent,
               const StagePatch& patch);

} // namespace agent::commands
