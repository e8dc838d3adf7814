#include "agent/model/Characters.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace agent
{

namespace
{

struct Range
{
    char32_t first;
    char32_t last;
};

// Unicode 15, chapter 23, and characters that look like nothing at all: what changes the direction or the
// place of text, or can't be seen. The joiners U+200C and U+200D and the variation selectors U+FE00-FE0F
// are allowed: scripts and emoji need them. agent/dashboard/dom.js has the same ranges.
constexpr std::array<Range, 17> deceptive{{{0x00AD, 0x00AD},
                                           {0x034F, 0x034F},
                                           {0x061C, 0x061C},
                                           {0x115F, 0x1160},
                                           {0x17B4, 0x17B5},
                                           {0x180E, 0x180E},
                                           {0x200B, 0x200B},
                                           {0x200E, 0x200F},
                                           {0x2028, 0x202E},
                                           {0x2060, 0x206F},
                                           {0x3164, 0x3164},
                                           {0xFEFF, 0xFEFF},
                                           {0xFFA0, 0xFFA0},
                                           {0xFFF9, 0xFFFB},
                                           {0x1D173, 0x1D17A},
                                           {0xE0000, 0xE007F},
                                           {0xE0100, 0xE01EF}}};

} // namespace

Character characterAt(std::string_view text, std::size_t pos)
{
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char lead = byte(pos);
    const Character invalid{.kind = Character::Kind::Invalid, .value = lead, .size = 1};
    if (lead < 0x80)
        return {.kind = Character::Kind::Valid, .value = lead, .size = 1};
    if (lead < 0xC2 || lead > 0xF4)
        return invalid;

    const std::size_t size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    char32_t value = lead & (0xFFU >> (size + 1));
    for (std::size_t i = 1; i < size; ++i)
    {
        if (pos + i >= text.size())
            return {.kind = Character::Kind::Incomplete, .value = lead, .size = 1};
        const unsigned char next = byte(pos + i);
        if ((next & 0xC0U) != 0x80)
            return invalid;
        // The second byte excludes overlong forms, surrogates and values above U+10FFFF.
        if (i == 1 && ((lead == 0xE0 && next < 0xA0) || (lead == 0xED && next > 0x9F) ||
                       (lead == 0xF0 && next < 0x90) || (lead == 0xF4 && next > 0x8F)))
            return invalid;
        value = (value << 6) | (next & 0x3FU);
    }
    return {.kind = Character::Kind::Valid, .value = value, .size = size};
}

bool isControl(char32_t value)
{
    return value < 0x20 || (value >= 0x7F && value < 0xA0);
}

void appendVisible(std::string& out, std::string_view text, std::size_t pos, Character character)
{
    const char32_t value = character.value;
    const auto isIt = [value](const Range& range)
    { return value >= range.first && value <= range.last; };
    if (character.kind == Character::Kind::Valid && !isControl(value) &&
        std::none_of(deceptive.begin(), deceptive.end(), isIt))
    {
        out.append(text.substr(pos, character.size));
        return;
    }
    char shown[16];
    std::snprintf(shown, sizeof shown, value <= 0xFF ? "\\x%02x" : "\\u%04x",
                  static_cast<unsigned>(value));
    out += shown;
}

std::string visible(std::string_view text, std::string_view kept)
{
    std::string out;
    out.reserve(text.size());
    for (std::size_t pos = 0; pos < text.size();)
    {
        const Character character = characterAt(text, pos);
        if (kept.find(text[pos]) != std::string_view::npos)
            out += text[pos];
        else
            appendVisible(out, text, pos, character);
        pos += character.size;
    }
    return out;
}

std::string shortened(std::string_view text, std::size_t bytes)
{
    constexpr std::string_view ellipsis = "…";
    if (text.size() <= bytes)
        return std::string(text);
    std::size_t end = bytes - ellipsis.size();
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80)
        --end;
    return std::string(text.substr(0, end)).append(ellipsis);
}

} // namespace agent
