#pragma once

#include <string>
#include <string_view>

namespace agent
{

/// The text with U+FFFD in place of every byte that is no part of valid UTF-8, so that what a client or a
/// command said can't make a JSON answer invalid.
std::string validUtf8(std::string_view text);

} // namespace agent
