#pragma once

#include "agent/ctl/Failure.h"

#include <string>

namespace agent::ctl
{

struct InitRequest
{
    std::string name;     ///< of the service; empty: the folder's
    std::string services; ///< folder of service files; empty: the installed one
    bool onlyPrint = false;
    bool force = false;
};

/// Writes a service file for the repository around the working directory, after `stage-agent --check` accepted it, and
/// prints what to do next.
/// Errors: Failure Usage: there is no repository, or nothing in it that is known; the file is there already; the folder
/// can't be written; the check failed.
Exit initService(const InitRequest& request);

} // namespace agent::ctl
