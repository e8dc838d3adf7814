#pragma once

#include "agent/ctl/Agents.h"

#include <string>
#include <vector>

namespace agent::ctl
{

/// The arguments of `exec`, the verb that needs no agent, but for `from`. `commit`, `branch` and `env` are as in RunRequest.
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
    std::string from; ///< a run as for findRun(), whose workspace is copied, or a folder
    bool withBefore = false;
    bool keep = false;
    bool raw = false;
    bool confirmed = false;
};

/// Puts the folder of the run that is named in `from` in its place, with the run's commit and branch unless others are
/// given. A text with a slash is a folder, and stays.
/// Errors: Failure; Conflict if the workspace is gone.
void findWorkspace(const Agents& agents, ExecCommand& command);

/// Replaces this process by `stage-agent --exec`; its exit codes are ExecExit.
/// Errors: Failure Usage if that program can't be executed or the configuration file not be read.
[[noreturn]] void execStage(const ExecCommand& command);

} // namespace agent::ctl
