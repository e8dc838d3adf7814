#pragma once

#include "agent/ctl/Terminal.h"

#include <rapidjson/document.h>

#include <string>

namespace agent::ctl
{

/// Returns the processes of a stage as a table, with what each waits for in a line below it: in words, with the
/// kernel's name. `indent`: blanks in front of each line.
std::string processTable(const Terminal& terminal, const rapidjson::Value& processes,
                         std::size_t indent);

} // namespace agent::ctl
