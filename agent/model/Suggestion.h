#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace agent
{

/// `, did you mean 'timeout'?` when one of `known` is near (at most two slips away), else nothing.
std::string suggestion(std::string_view given, const std::vector<std::string_view>& known);

} // namespace agent
