#pragma once

#include <chrono>
#include <string>

namespace agent::ctl
{

/// Connects to a Unix socket, also one with a path longer than sun_path.
/// Returns the descriptor; -1 with errno when it fails or takes longer.
int connectUnix(const std::string& socket, std::chrono::microseconds timeout);

/// Returns who may open the socket: `members of the group stage-agent-operators`.
std::string whoMayOpen(const std::string& socket);

} // namespace agent::ctl
