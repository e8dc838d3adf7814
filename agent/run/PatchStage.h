#pragma once

#include "agent/run/StagePatch.h"

#include <string>

namespace agent
{

class Engine;

namespace commands
{

/// Overrides a stage by hand. Where the patch ends a running stage, it returns when none of its processes
/// is left.
/// Errors: Declined: NotFound, Changed, Invalid, Unavailable; Conflict, among them `processes_remain` when
/// the stage can't be killed: the decision stands then and is carried out when that is possible.
void patchStage(Engine& engine, const std::string& stageId, const StagePatch& patch);

} // namespace commands

} // namespace agent
