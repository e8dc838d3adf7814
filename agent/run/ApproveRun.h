#pragma once

#include "agent/run/Approvals.h"

#include <string>

namespace agent
{

class Engine;

namespace commands
{

/// Approves the stage of the run that awaits it, and starts it.
/// Errors: Declined: NotFound, Forbidden, Conflict, Unavailable.
void approve(Engine& engine, const std::string& runId, const Actor& actor);

} // namespace commands

} // namespace agent
