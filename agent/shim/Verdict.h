#pragma once

#include "agent/wire/Order.h"

#include <optional>
#include <string>

namespace agent
{

/// The facts that determine the reported outcome of an attempt.
struct Evidence
{
    std::optional<Cause> ended;       ///< why the shim ended the stage; none: it ended by itself
    std::optional<int> commandStatus; ///< of waitpid; none: there never was a command
    std::string pluginProblem;        ///< why its plugin may not be executed; empty: it may
    std::string spawnFailure;         ///< why there was none; empty: it was executed
    int logError = 0;                 ///< error number of a log that could not be written
    bool outlivedGrace = false;       ///< TERM did not end all of it
    bool oomKilled = false;
    bool diskFull = false; ///< nothing was left to the workspace at the end
};

/// Whether a command with this wait status ended by SIGTERM, or in a shell's word for it.
bool endedByTerm(int status);

/// Fills in cause, exitCode, signal, message and notes of `outcome`.
void judge(Outcome& outcome, const Order& order, const Evidence& evidence);

/// Fills in what was collected after that, which may make a failure of a success, or a note. `artifacts`: whether they were
/// asked for.
void judgeFiles(Outcome& outcome, const CollectOrder& order, bool artifacts,
                const Collected& collected);

} // namespace agent
