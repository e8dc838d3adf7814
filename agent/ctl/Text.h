#pragma once

#include "agent/model/Timestamp.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace agent::ctl
{

/// A character of UTF-8 text.
struct Character
{
    enum class Kind
    {
        Valid,
        Invalid,   ///< a byte that begins no character; `value` is the byte
        Incomplete ///< the text ends inside a character that may be valid so far
    };
    Kind kind = Kind::Invalid;
    char32_t value = 0;
    std::size_t size = 1; ///< in bytes
};

/// Returns the character at `pos` < text.size(). Overlong forms and surrogates are invalid.
Character characterAt(std::string_view text, std::size_t pos);

/// Appends the character, escaped as `\x1b` or `\u202e` if it could control a terminal or mislead the
/// reader: C0, DEL, C1, bidirectional and invisible format characters, invalid bytes.
void appendVisible(std::string& out, std::string_view text, std::size_t pos, Character character);

/// Returns the text with these characters escaped, including line breaks and tabs.
std::string visible(std::string_view text);

/// Returns the columns that a terminal needs for text without control characters.
std::size_t displayWidth(std::string_view text);

/// Returns the text cut to `width` columns; a cut text ends in `…`.
std::string clip(std::string_view text, std::size_t width);

/// Returns `7s`, `1m 23s`, `2h 5m 7s`, `3d 4h 0m`.
std::string durationText(std::int64_t seconds);

/// Returns `1.250s` below a minute; above, as durationText.
std::string durationTextMs(std::int64_t milliseconds);

/// Returns local time: `12:03:04` on the day of `now`, `Mar 20 17:17` in its year, else `2023-03-20`.
std::string localTime(TimeMs time, TimeMs now);

/// Returns local time as `12:03:04`.
std::string clockTime(TimeMs time);

/// Returns `512 B`, `1.2 MiB`.
std::string bytesText(std::int64_t bytes);

} // namespace agent::ctl
