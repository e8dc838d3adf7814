#include "agent/ctl/Text.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <iterator>

namespace agent::ctl
{

namespace
{

struct Range
{
    char32_t first;
    char32_t last;
};

constexpr std::array<Range, 9> zeroWidth{{{0x0300, 0x036F},
                                          {0x0483, 0x0489},
                                          {0x0591, 0x05BD},
                                          {0x1AB0, 0x1AFF},
                                          {0x1DC0, 0x1DFF},
                                          {0x200C, 0x200D},
                                          {0x20D0, 0x20FF},
                                          {0xFE00, 0xFE0F},
                                          {0xFE20, 0xFE2F}}};

// East Asian wide and emoji presentation, by block: exact enough to align columns.
constexpr std::array<Range, 13> doubleWidth{{{0x1100, 0x115F},
                                             {0x2E80, 0x303E},
                                             {0x3041, 0x33FF},
                                             {0x3400, 0x4DBF},
                                             {0x4E00, 0x9FFF},
                                             {0xA000, 0xA4CF},
                                             {0xAC00, 0xD7A3},
                                             {0xF900, 0xFAFF},
                                             {0xFE30, 0xFE6F},
                                             {0xFF00, 0xFF60},
                                             {0x1F300, 0x1F64F},
                                             {0x1F680, 0x1F9FF},
                                             {0x20000, 0x3FFFD}}};

template <std::size_t N> bool in(const std::array<Range, N>& ranges, char32_t value)
{
    return std::any_of(ranges.begin(), ranges.end(),
                       [value](const Range& range)
                       { return value >= range.first && value <= range.last; });
}

std::size_t widthOf(char32_t value)
{
    if (in(zeroWidth, value))
        return 0;
    return in(doubleWidth, value) ? 2 : 1;
}

std::tm localParts(TimeMs time)
{
    const auto seconds = static_cast<std::time_t>(time / 1000);
    std::tm parts{};
    localtime_r(&seconds, &parts);
    return parts;
}

std::string formatted(const std::tm& parts, const char* format)
{
    char text[64];
    return {text, std::strftime(text, sizeof text, format, &parts)};
}

} // namespace

std::size_t displayWidth(std::string_view text)
{
    std::size_t width = 0;
    for (std::size_t pos = 0; pos < text.size();)
    {
        const Character character = characterAt(text, pos);
        width += widthOf(character.value);
        pos += character.size;
    }
    return width;
}

std::string clip(std::string_view text, std::size_t width)
{
    if (displayWidth(text) <= width)
        return std::string(text);
    if (width == 0)
        return "";
    std::size_t used = 0;
    std::size_t pos = 0;
    while (pos < text.size())
    {
        const Character character = characterAt(text, pos);
        const std::size_t columns = widthOf(character.value);
        if (used + columns > width - 1)
            break;
        used += columns;
        pos += character.size;
    }
    return std::string(text.substr(0, pos)) + "…";
}

std::string durationText(std::int64_t seconds)
{
    seconds = std::max<std::int64_t>(seconds, 0);
    const auto text = [](std::int64_t value, const char* unit)
    { return std::to_string(value) + unit; };
    const std::int64_t minutes = seconds / 60;
    const std::int64_t hours = minutes / 60;
    if (minutes == 0)
        return text(seconds, "s");
    if (hours == 0)
        return text(minutes, "m ") + text(seconds % 60, "s");
    if (hours < 24)
        return text(hours, "h ") + text(minutes % 60, "m ") + text(seconds % 60, "s");
    return text(hours / 24, "d ") + text(hours % 24, "h ") + text(minutes % 60, "m");
}

std::string durationTextMs(std::int64_t milliseconds)
{
    if (milliseconds < 0 || milliseconds >= 60'000)
        return durationText(milliseconds / 1000);
    char text[32];
    std::snprintf(text, sizeof text, "%.3fs", static_cast<double>(milliseconds) / 1000);
    return text;
}

std::string agoText(std::int64_t milliseconds)
{
    constexpr std::int64_t minute = 60;
    constexpr std::int64_t hour = 60 * minute;
    constexpr std::int64_t day = 24 * hour;
    const std::int64_t seconds = milliseconds / 1000;
    if (seconds < 1)
        return "now";
    if (seconds < 2 * minute)
        return std::to_string(seconds) + "s ago";
    if (seconds < 2 * hour)
        return std::to_string(seconds / minute) + "m ago";
    if (seconds < 2 * day)
        return std::to_string(seconds / hour) + "h ago";
    return std::to_string(seconds / day) + "d ago";
}

std::string localTime(TimeMs time, TimeMs now)
{
    const std::tm then = localParts(time);
    const std::tm today = localParts(now);
    if (then.tm_year == today.tm_year && then.tm_yday == today.tm_yday)
        return formatted(then, "%H:%M:%S");
    return formatted(then, then.tm_year == today.tm_year ? "%b %e %H:%M" : "%Y-%m-%d");
}

std::string clockTime(TimeMs time)
{
    return formatted(localParts(time), "%H:%M:%S");
}

std::string bytesText(std::int64_t bytes)
{
    constexpr std::array<const char*, 5> units{"KiB", "MiB", "GiB", "TiB", "PiB"};
    if (bytes < 1024)
        return std::to_string(bytes) + " B";
    double value = static_cast<double>(bytes) / 1024;
    std::size_t unit = 0;
    for (; value >= 1024 && unit + 1 < units.size(); ++unit)
        value /= 1024;
    char text[32];
    std::snprintf(text, sizeof text, "%.1f %s", value, units[unit]);
    return text;
}

} // namespace agent::ctl
