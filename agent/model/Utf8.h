#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace agent
{

/// Returns how many bytes the UTF-8 character at `at` has, 1 to 4; 0 if it is malformed: cut off, overlong, a
/// surrogate or past U+10FFFF. Source: The Unicode Standard 15.0, table 3-7.
std::size_t utf8LengthAt(std::string_view text, std::size_t at);

/// Returns whether `text` is UTF-8.
bool isUtf8(std::string_view text);

/// Returns the text with U+FFFD in place of every byte that is no part of valid UTF-8, so that what a
/// client or a command printed can't make a JSON answer invalid.
std::string validUtf8(std::string_view text);

} // namespace agent
