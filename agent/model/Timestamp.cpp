#include "agent/model/Timestamp.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <utility>

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

/// Reads the offset `+02:00` or `-02:00`.
std::optional<int> minutesAhead(std::string_view zone)
{
    std::size_t pos = 1;
    int hours = 0;
    int minutes = 0;
    if (zone.empty() || (zone[0] != '+' && zone[0] != '-' && zone[0] != ' ') ||
        !readDigits(zone, pos, 2, hours) || !readChar(zone, pos, ':') ||
        !readDigits(zone, pos, 2, minutes) || pos != zone.size() || hours > 23 || minutes > 59)
        return std::nullopt;
    return (zone[0] == '-' ? -1 : 1) * (hours * 60 + minutes);
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
    // By hand, as a list of runs has thousands of times: snprintf takes a tenth of its answer.
    std::string text = "0000-00-00T00:00:00.000Z";
    const auto put = [&text](std::size_t end, std::int64_t value)
    {
        for (; value > 0; value /= 10)
            text[--end] = static_cast<char>('0' + value % 10);
    };
    put(4, std::clamp(static_cast<int>(date.year()), 0, 9999));
    put(7, static_cast<unsigned>(date.month()));
    put(10, static_cast<unsigned>(date.day()));
    put(13, clock.hours().count());
    put(16, clock.minutes().count());
    put(19, clock.seconds().count());
    put(23, clock.subseconds().count());
    return text;
}

std::optional<TimeMs> parseTime(std::string_view text, Zone allowed)
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
    const auto ahead = zone == "Z" ? std::optional(0) : minutesAhead(zone);
    if (!ahead || (allowed == Zone::Utc && zone != "Z" && zone != "+00:00"))
        return std::nullopt;

    using namespace std::chrono;
    const year_month_day date{std::chrono::year{year} / month / day};
    if (!date.ok() || year < 1970 || hour > 23 || minute > 59 || second > 59)
        return std::nullopt;
    const auto point = sys_days{date} + hours{hour} + minutes{minute - *ahead} + seconds{second} +
                       milliseconds{millis};
    const auto time = duration_cast<milliseconds>(point.time_since_epoch()).count();
    return time < 0 ? std::nullopt : std::optional<TimeMs>(time);
}

std::int64_t ceilSeconds(TimeMs started, TimeMs ended)
{
    return (ended - started + 999) / 1000;
}

std::optional<std::int64_t> parseDurationMs(std::string_view text)
{
    constexpr std::array<std::pair<std::string_view, std::int64_t>, 5> units{
        {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};
    constexpr std::int64_t tenYears = 315'360'000'000;
    std::int64_t total = 0;
    std::int64_t before = 0; // the unit of the part before; 0: none
    do
    {
        const auto value = readWhole(text);
        if (!value)
            return std::nullopt;
        const std::string_view word = text.substr(0, text.find_first_of("0123456789 "));
        const auto* const found = std::find_if(
            units.begin(), units.end(), [&](const auto& unit) { return unit.first == word; });
        if (found == units.end() && (before != 0 || !text.empty()))
            return std::nullopt;
        const std::int64_t unit = found == units.end() ? 1000 : found->second; // bare: seconds
        if ((before != 0 && unit >= before) || *value > (tenYears - total) / unit)
            return std::nullopt;
        total += *value * unit;
        before = unit;
        text.remove_prefix(word.size());
        while (!text.empty() && text.front() == ' ')
            text.remove_prefix(1);
    } while (!text.empty());
    return total;
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
