#pragma once

#include <string>
#include <vector>

namespace agent::ctl
{

/// The arguments of `exec`, the verb that needs no agent. `commit`, `branch` and `env` are as in RunRequest.
struct ExecCommand
{
    std::string service;
    std::string stage;
    std::string config;                   ///< empty: the installed one, if there is one
    std::vector<std::string> definitions; ///< each `key=value`
    std::string commit;
    std::string branch;
    std::vector<std::string> env; ///< each `NAME=VALUE`
    std::string workspace;
    bool keep = false;
    bool raw = false;
    bool confirmed = false;
};

/// Replaces this process by `stage-agent --exec`; its exit codes are ExecExit.
/// Errors: Failure Usage if that program can't be executed or the configuration file not be read.
[[noreturn]] void execStage(const ExecCommand& command);

} // namespace agent::ctl
