#pragma once

#include "agent/ctl/Failure.h"

namespace agent::ctl
{

/// Executes the command line and returns the exit code.
/// Errors: Failure; Usage for an invalid command line.
Exit runCommandLine(int argc, char** argv);

} // namespace agent::ctl
