#pragma once

#include "agent/Config.h"
#include "agent/model/Finding.h"

#include <filesystem>
#include <string>
#include <vector>

namespace agent::doctor
{

/// The configuration as the daemon would have it, with all that is wrong with it.
struct Setup
{
    Config config;
    std::filesystem::path file;       ///< empty: none was given
    std::vector<Problem> problems;    ///< in the file or of `-D`
    bool wholeRecord = false;         ///< read all of the record, not its first pages only
    std::filesystem::path programs{}; ///< the folder of stage-agent and what comes along with it
};

/// Looks at this host the way the daemon would find it, whether one runs or not. Started by root, it
/// looks as the agent's user does. Takes no lock that a daemon would meet, changes nothing and leaves no file.
/// Errors: none; what can't be seen is a finding. Blocks: for a read of the record where that is
/// asked for, and 10 s at most for
/// each program that is asked.
/// Threads: while the caller has one only, for the user changes.
Findings examine(const Setup& setup);

/// An array of objects `{check, status, seen, advice}`.
std::string toJson(const Findings& findings);

} // namespace agent::doctor
