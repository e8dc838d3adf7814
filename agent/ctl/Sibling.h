#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace agent::ctl
{

/// What the systemd unit gives to the daemon.
constexpr const char* unitsConfiguration = "/etc/stage-agent/stage-agent.properties";

/// The stage-agent program of this host: beside this one, else in `../lib/stage-agent`; never from $PATH.
/// Errors: Failure Usage that names both places.
std::filesystem::path agentProgram();

/// Becomes that program with these arguments, for what needs its code but no daemon.
/// Shape: does not return; stdin, stdout, stderr, the exit code and every signal are the program's.
/// Errors: as agentProgram(), or Failure Usage that says why it can't be executed.
[[noreturn]] void becomeAgent(const std::vector<std::string>& arguments);

} // namespace agent::ctl
