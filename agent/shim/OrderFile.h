#pragma once

#include "agent/wire/Order.h"

#include <string>

namespace agent
{

/// Reads the order.json of the attempt in `folder` into `order`, which is left as it is where that fails.
/// Returns why it can't be executed: it can't be read, is of a newer version, or not what the agent wrote, as `seal` shows;
/// empty: it can.
std::string readOrder(const std::string& folder, const Seal& seal, Order& order);

} // namespace agent
