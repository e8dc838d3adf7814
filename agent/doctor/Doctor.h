#pragma once

#include "agent/Config.h"
#include "agent/model/Finding.h"

#include <filesystem>
#include <string>
#include <vector>

namespace agent::doctor
{

/// The configuration as the daemon would read it, with its problems.
struct Setup
{
    Config config;
    std::filesystem::path file;    ///< empty: none
    std::vector<Problem> problems; ///< of the file and of -D
    bool wholeRecord = false;      ///< read all of the record, not only its first pages
    std::filesystem::path
        programs{}; ///< the folder of stage-agent, the shim and the built-in plugins
};

/// Checks this host as the daemon would see it, whether it runs or not; for root, as the agent's user.
/// Takes no lock that the daemon uses, changes nothing and leaves no file.
/// Errors: none; a check that can't be done is a finding. Blocks while it reads the record, where that
/// is asked for, and for up to 10 s per program that it runs.
/// Threads: the process must have only one (see AsUser).
Findings checkHost(const Setup& setup);

/// Returns a JSON array of `{check, status, seen, advice}`.
std::string toJson(const Findings& findings);

} // namespace agent::doctor
