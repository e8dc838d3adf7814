#pragma once

#include <chrono>
#include <string>

namespace agent::ctl
{

/// Connects to a Unix socket, also one with a path longer than sun_path.
/// Returns the descriptor; -1 with errno when it fails or takes longer.
int connectUnix(const std::string& socket, std::chrono::microseconds timeout);

/// Returns the group whose members may open the socket; empty where that can't be seen, as in a folder that is
/// closed to this user.
std::string groupThatMayOpen(const std::string& socket);

} // namespace agent::ctl
