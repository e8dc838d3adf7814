#pragma once

#include <map>
#include <string>

namespace agent
{

/// What a client marks a run with, to find it again: its own id, a team, a ticket. The agent gives them no meaning. What
/// they may look like: InputRules.h.
using Labels = std::map<std::string, std::string>;

} // namespace agent
