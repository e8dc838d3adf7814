#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace agent
{

/// Returns `, did you mean 'timeout'?` if one of `known` is similar (at most two edits), else an empty text.
std::string suggestion(std::string_view given, const std::vector<std::string_view>& known);

} // namespace agent
