#pragma once

#include "agent/ctl/Failure.h"

namespace agent::ctl
{

/// Reads the command line, does what it says and gives how the program ends.
/// Errors: Failure, from any verb; a wrong command line is told here and gives Exit::Usage.
Exit runCommandLine(int argc, char** argv);

} // namespace agent::ctl
