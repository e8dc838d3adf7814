#pragma once

#include "agent/model/Run.h"
#include "agent/run/Approvals.h"
#include "agent/run/StagePatch.h"

#include <optional>
#include <string>

namespace agent
{

class Engine;

namespace commands
{

/// Deletes a run that is not at work, with its stages, logs and workspace. Returns it as it was.
/// Errors: Declined: NotFound, Conflict.
Run deleteRun(Engine& engine, const std::string& runId, const std::string& actor);

/// Deletes a stage that is not at work, with its logs. Returns it as it was.
/// Errors: Declined: NotFound, Changed, Forbidden, Conflict.
Stage deleteStage(Engine& engine, const std::string& stageId,
                  const std::optional<Versions>& ifVersion, const Actor& actor);

} // namespace commands

} // namespace agent
