#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace agent
{

/// A place between two lines of a stage's log: what `id` of a log line says and `after` takes, as text
/// `attempt.line`.
struct LogPlace
{
    int attempt = 1;
    std::uint64_t line = 0; ///< the last one before the place; 0: the beginning
};

std::optional<LogPlace> logPlaceFrom(std::string_view text);

/// How far the client of an event stream has come: what `id` of an event says and Last-Event-ID gives
/// back, as text `hSEQ`, with logs `hSEQ.ORDINAL.ATTEMPT.LINE`.
/// All of it is on disk, so an id holds over a restart of the daemon.
struct EventPlace
{
    std::int64_t seq = 0; ///< of the newest history entry that was told
    struct Log
    {
        int ordinal = 0; ///< of the stage in its run
        LogPlace place;
    };
    std::optional<Log> log;

    /// The text up to the number of the line, the same for neighbouring lines.
    [[nodiscard]] std::string prefix() const;
    [[nodiscard]] std::string text() const;
};

std::optional<EventPlace> eventPlaceFrom(std::string_view text);

/// Returns a whole number without sign that fits; nothing for all else.
std::optional<std::int64_t> wholeNumber(std::string_view text);

} // namespace agent
