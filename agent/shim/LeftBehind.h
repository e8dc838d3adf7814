#pragma once

#include "agent/os/ProcessStat.h"

#include <string>
#include <vector>

namespace agent
{

/// Returns the line of the log that tells of processes which outlived the command, and are ended for it:
/// `[stage-agent: ended 1 process that the command left behind: sleep (4711)]`, the first ten with name and pid. Empty
/// where all of them were ending by themselves.
/// Names are what the stage gave them: what is not printable ASCII is `?`.
std::string leftBehindLine(const std::vector<ProcessStat>& processes);

} // namespace agent
