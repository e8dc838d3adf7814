#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace agent::ctl
{

/// The configuration file that the systemd unit passes to the daemon.
constexpr const char* installedConfiguration = "/etc/stage-agent/stage-agent.properties";

/// Returns the path of stage-agent on this host: beside stagectl, else in `../lib/stage-agent`; $PATH is
/// not searched. Errors: Failure Usage that names both locations.
std::filesystem::path agentProgram();

/// Replaces this process by that program (execv), which so gets stdin, stdout, stderr and all signals, and
/// whose exit code is ours.
/// Errors: as agentProgram(), or Failure Usage with the reason of execv.
[[noreturn]] void execAgent(const std::vector<std::string>& arguments);

} // namespace agent::ctl
