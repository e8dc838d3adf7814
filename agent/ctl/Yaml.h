#pragma once

#include <string>

namespace agent::ctl
{

/// Returns JSON as YAML, in block style and in its order. Text that is no JSON is returned unchanged.
std::string yamlOf(const std::string& json);

} // namespace agent::ctl
