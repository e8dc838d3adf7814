#include "agent/api/LogPlace.h"

#include <charconv>
#include <limits>
#include <vector>

namespace agent
{

namespace
{

/// Returns the numbers of `1.2.3`; none when one of them is malformed.
std::vector<std::int64_t> numbersOf(std::string_view text)
{
    std::vector<std::int64_t> numbers;
    while (true)
    {
        const std::size_t dot = text.find('.');
        const auto number = wholeNumber(text.substr(0, dot));
        if (!number)
            return {};
        numbers.push_back(*number);
        if (dot == text.npos)
            return numbers;
        text.remove_prefix(dot + 1);
    }
}

bool isCount(std::int64_t number)
{
    return number <= std::numeric_limits<int>::max();
}

LogPlace placeOf(std::int64_t attempt, std::int64_t line)
{
    return {.attempt = static_cast<int>(attempt), .line = static_cast<std::uint64_t>(line)};
}

} // namespace

std::optional<std::int64_t> wholeNumber(std::string_view text)
{
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || text.front() == '-')
        return std::nullopt;
    return value;
}

std::optional<LogPlace> logPlaceFrom(std::string_view text)
{
    const auto numbers = numbersOf(text);
    if (numbers.size() != 2 || numbers[0] < 1 || !isCount(numbers[0]))
        return std::nullopt;
    return placeOf(numbers[0], numbers[1]);
}

std::optional<EventPlace> eventPlaceFrom(std::string_view text)
{
    if (!text.starts_with('h'))
        return std::nullopt;
    const auto numbers = numbersOf(text.substr(1));
    if (numbers.size() == 1)
        return EventPlace{.seq = numbers[0]};
    if (numbers.size() != 4 || !isCount(numbers[1]) || numbers[2] < 1 || !isCount(numbers[2]))
        return std::nullopt;
    return EventPlace{.seq = numbers[0],
                      .log = EventPlace::Log{.ordinal = static_cast<int>(numbers[1]),
                                             .place = placeOf(numbers[2], numbers[3])}};
}

std::string EventPlace::prefix() const
{
    std::string text = "h" + std::to_string(seq);
    if (log)
        text += "." + std::to_string(log->ordinal) + "." + std::to_string(log->place.attempt) + ".";
    return text;
}

std::string EventPlace::text() const
{
    return log ? prefix() + std::to_string(log->place.line) : prefix();
}

} // namespace agent
