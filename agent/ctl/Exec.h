#pragma once

#include <string>
#include <vector>

namespace agent::ctl
{

/// `exec`: the one verb that needs no agent. What is said about a run's options holds here too.
struct ExecCommand
{
    std::string service;
    std::string stage;
    std::string config; ///< empty: the one that the unit names, where there is one
    std::vector<std::string> definitions; ///< each `key=value`
    std::string commit;
    std::string branch;
    std::vector<std::string> env; ///< each `NAME=VALUE`
    std::string workspace;
    bool keep = false;
    bool raw = false;
    bool sure = false;
};

/// Becomes the agent's program that executes the stage; it ends as ExecExit says.
/// Errors: Failure Usage: that program or the configuration file can't be had.
[[noreturn]] void becomeExec(const ExecCommand& command);

} // namespace agent::ctl
