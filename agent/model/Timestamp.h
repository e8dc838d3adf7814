#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace agent
{

/// A point in time: milliseconds since 1970-01-01T00:00:00Z.
using TimeMs = std::int64_t;

/// Returns CLOCK_REALTIME. Threads: any.
TimeMs nowMs();

/// Returns the API's format: `2023-03-20T17:17:13.760Z`, always 3 decimals and `Z`.
std::string formatTime(TimeMs time);

enum class Zone
{
    Utc, ///< `Z` or `+00:00` only
    Any ///< also an offset such as `+02:00`, or ` 02:00`, which an unescaped plus of a query becomes
};

/// Parses an ISO 8601 time: `2023-03-20T17:17:13Z`, up to 9 decimals (truncated to 3).
/// Returns nullopt if it is malformed, not a valid date, before 1970 or in a zone that is not allowed.
std::optional<TimeMs> parseTime(std::string_view text, Zone zone = Zone::Utc);

/// Returns the seconds from `started` to `ended`, rounded up: 1 ms is 1 s, 0 ms is 0.
std::int64_t ceilSeconds(TimeMs started, TimeMs ended);

/// Parses a duration: `500ms`, `30s`, `10m`, `2h`, `1d`, several from long to short as `1h30m`, or a bare number of
/// seconds.
/// Returns milliseconds; nullopt if malformed, negative or longer than 10 years.
std::optional<std::int64_t> parseDurationMs(std::string_view text);

/// Parses a size: `1048576`, `64K`, `64KiB`, `1M`, `1MiB`, `1 GiB`; powers of 1024.
/// Returns bytes; nullopt if malformed, negative or over 2^62.
std::optional<std::int64_t> parseBytes(std::string_view text);

} // namespace agent
