#pragma once

#include <string>

namespace agent
{

class Engine;

namespace commands
{

/// Approves the stage of the run that awaits it, and starts it.
/// Errors: Declined: NotFound, Conflict, Unavailable.
void approve(Engine& engine, const std::string& runId, const std::string& actor);

} // namespace commands

} // namespace agent
