#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace agent
{

/// Returns `, did you mean 'timeout'?` if one of `known` is what other tools call `given`, or similar (at most two
/// edits); else how a word of other tools is said here, or an empty text.
std::string suggestion(std::string_view given, const std::vector<std::string_view>& known);

} // namespace agent
