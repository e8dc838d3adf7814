#pragma once

#include "agent/wire/Order.h"

#include <string>
#include <vector>

namespace agent
{

/// Returns the arguments that make the sandbox of `order`, which has one: the program and all of its options,
/// without `--` and the command. The host is shown read-only, but for
///   - what is private and empty: /tmp, /var/tmp, /dev, /dev/shm, /proc, /run, /home, /root;
///   - what is hidden: SandboxOrder::hidden;
///   - what is writable: the workspace (order.cwd), the home, and the attempt's files for outputs and secrets.
/// Where the order's argv is outside of the sandbox, more may be appended: what is hidden takes further mounts then.
/// Makes the home and the file for outputs in `folder`, the attempt's, where they are not there yet.
/// Errors: std::runtime_error that says why there can be no such sandbox.
/// Source: bwrap(1), version 0.8.
std::vector<std::string> bubblewrapArguments(const Order& order, const std::string& folder);

} // namespace agent
