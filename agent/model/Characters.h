#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace agent
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

/// Returns whether it is a control character: C0, DEL or C1.
bool isControl(char32_t value);

/// Appends the character, escaped as `\x1b` or `\u202e` if it could control a terminal or mislead the
/// reader: control characters, bidirectional and invisible format characters, invalid bytes.
void appendVisible(std::string& out, std::string_view text, std::size_t pos, Character character);

/// Returns the text with these characters escaped, including line breaks and tabs but for the ASCII
/// characters in `kept`.
std::string visible(std::string_view text, std::string_view kept = "");

/// Returns the text cut to at most `bytes` of whole characters; a cut text ends in `…`. `bytes` >= 3.
std::string shortened(std::string_view text, std::size_t bytes);

} // namespace agent
