#pragma once

#include "agent/model/Timestamp.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace agent::ctl
{

/// One character of UTF-8 text.
struct Character
{
    enum class Kind
    {
        Valid,
        Invalid,   ///< one byte that starts no character; `value` is the byte
        Incomplete ///< the text ends inside a character that may still become valid
    };
    Kind kind = Kind::Invalid;
    char32_t value = 0;
    std::size_t size = 1; ///< bytes it takes
};

/// Reads the character at `pos`, which is inside the text. Overlong forms and surrogates are invalid.
Character characterAt(std::string_view text, std::size_t pos);

/// Appends the character as it is, or as `\x1b` / `\u202e` where it could steer or deceive a terminal:
/// C0, DEL, C1, bidirectional and invisible format characters, invalid bytes.
void appendVisible(std::string& out, std::string_view text, std::size_t pos, Character character);

/// The text with every control, C1 and bidirectional character made visible, line ends and tabs too.
std::string visible(std::string_view text);

/// Columns that a terminal needs for text without control characters.
std::size_t displayWidth(std::string_view text);

/// Cuts to `width` columns; a cut text ends in `…`.
std::string clip(std::string_view text, std::size_t width);

/// `7s`, `1m 23s`, `2h 5m 7s`, `3d 4h 0m`.
std::string durationText(std::int64_t seconds);

/// Milliseconds below a minute with their decimals: `1.250s`; above as durationText.
std::string durationTextMs(std::int64_t milliseconds);

/// The short local form: `12:03:04` on the day of `now`, `Mar 20 17:17` in its year, else `2023-03-20`.
std::string localTime(TimeMs time, TimeMs now);

/// `12:03:04`, local.
std::string clockTime(TimeMs time);

/// `512 B`, `1.2 MiB`.
std::string bytesText(std::int64_t bytes);

} // namespace agent::ctl
