#pragma once

#include "agent/wire/Order.h"

#include <string>

namespace agent
{

/// Whoever changes a plugin's files executes code with the stage's secrets: what the agent has checked and shown is what
/// runs.
///
/// Returns whether the plugin's files are known to be those without being read, or there is nothing to be checked.
/// Blocks: for a stat of each name.
bool pluginIsProved(const Order& order);

/// For a plugin that is not proved. Returns what is wrong; empty: nothing. Blocks: for reading all of it, seconds for a large
/// one.
std::string problemOfPlugin(const Order& order);

} // namespace agent
