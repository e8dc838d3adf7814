#pragma once

#include <string>

namespace agent
{

class Engine;

namespace commands
{

/// Stops a run. Returns how many stages were ended by it, when none of their processes is left; 0 when
/// the run had ended.
/// Errors: Declined: NotFound, Unavailable; Conflict `processes_remain`, as patchStage().
int stop(Engine& engine, const std::string& runId, const std::string& actor);

} // namespace commands

} // namespace agent
