#include "agent/model/Timestamp.h"

#include <charconv>
#include <chrono>
#include <cstdio>

namespace agent
{

namespace
{

/// Reads exactly `digits` digits at `pos` and moves past them.
bool readDigits(std::string_view text, std::size_t& pos, std::size_t digits, int& value)
{
    if (pos + digits > text.size())
        return false;
    value = 0;
    for (std::size_t i = 0; i < digits; ++i)
    {
        const char c = text[pos + i];
        if (c < '0' || c > '9')
            return false;
        value = value * 10 + (c - '0');
    }
    pos += digits;
    return true;
}

bool readChar(std::string_view text, std::size_t& pos, char wanted)
{
    if (pos >= text.size() || text[pos] != wanted)
        return false;
    ++pos;
    return true;
}

/// Splits `12 unit` into the integer and the unit, without the blanks.
std::optional<std::int64_t> readWhole(std::string_view& text)
{
    std::int64_t value = 0;
    const auto* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || value < 0)
        return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
    while (!text.empty() && text.front() == ' ')
        text.remove_prefix(1);
    return value;
}

} // namespace

std::string formatTime(TimeMs time)
{
    using namespace std::chrono;
    const sys_time<milliseconds> point{milliseconds{time}};
    const auto day = floor<days>(point);
    const year_month_day date{day};
    const hh_mm_ss clock{point - day};
    char text[40];
    const int size = std::snprintf(
        text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
        static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
        static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
        static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
    return {text, static_cast<std::size_t>(size)};
}

std::optional<TimeMs> parseTime(std::string_view text)
{
    std::size_t pos = 0;
    int year = 0;
    int month = 0;
    int day = 0;
    int hour = 0;
    int minute = 0;
    int second = 0;
    if (!readDigits(text, pos, 4, year) || !readChar(text, pos, '-') ||
        !readDigits(text, pos, 2, month) || !readChar(text, pos, '-') ||
        !readDigits(text, pos, 2, day) || !readChar(text, pos, 'T') ||
        !readDigits(text, pos, 2, hour) || !readChar(text, pos, ':') ||
        !readDigits(text, pos, 2, minute) || !readChar(text, pos, ':') ||
        !readDigits(text, pos, 2, second))
        return std::nullopt;

    int millis = 0;
    if (readChar(text, pos, '.'))
    {
        std::size_t digits = 0;
        for (; pos < text.size() && text[pos] >= '0' && text[pos] <= '9'; ++pos, ++digits)
            if (digits < 3)
                millis = millis * 10 + (text[pos] - '0');
        if (digits == 0 || digits > 9)
            return std::nullopt;
        for (; digits < 3; ++digits)
            millis *= 10;
    }
    const std::string_view zone = text.substr(pos);
    if (zone != "Z" && zone != "+00:00")
        return std::nullopt;

    using namespace std::chrono;
    const year_month_day date{std::chrono::year{year} / month / day};
    if (!date.ok() || year < 1970 || hour > 23 || minute > 59 || second > 59)
        return std::nullopt;
    const auto point =
        sys_days{date} + hours{hour} + minutes{minute} + seconds{second} + milliseconds{millis};
    return duration_cast<milliseconds>(point.time_since_epoch()).count();
}

std::int64_t ceilSeconds(TimeMs started, TimeMs ended)
{
    return (ended - started + 999) / 1000;
}

std::optional<std::int64_t> parseDurationMs(std::string_view text)
{
    const auto value = readWhole(text);
    if (!value)
        return std::nullopt;
    std::int64_t unit = 0;
    if (text == "ms")
        unit = 1;
    else if (text.empty() || text == "s")
        unit = 1000;
    else if (text == "m")
        unit = 60'000;
    else if (text == "h")
        unit = 3'600'000;
    else if (text == "d")
        unit = 86'400'000;
    constexpr std::int64_t tenYears = 315'360'000'000;
    if (unit == 0 || *value > tenYears / unit)
        return std::nullopt;
    return *value * unit;
}

std::optional<std::int64_t> parseBytes(std::string_view text)
{
    const auto value = readWhole(text);
    if (!value)
        return std::nullopt;
    int shift = -1;
    if (text.empty() || text == "B")
        shift = 0;
    else if (text == "K" || text == "k" || text == "KiB")
        shift = 10;
    else if (text == "M" || text == "MiB")
        shift = 20;
    else if (text == "G" || text == "GiB")
        shift = 30;
    else if (text == "T" || text == "TiB")
        shift = 40;
    if (shift < 0 || *value > (std::int64_t{1} << 62 >> shift))
        return std::nullopt;
    return *value << shift;
}

} // namespace agent
