#pragma once

#include "agent/wire/Order.h"

#include <string>

namespace agent
{

/// Whoever changes a plugin's files executes code with the stage's secrets: what the agent has checked and shown is what
/// runs. Returns what is wrong; empty: nothing.
std::string problemOfPlugin(const Order& order);

} // namespace agent
