#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace agent
{

/// Milliseconds since 1970-01-01T00:00:00Z: how the record, the shim's files and the engine keep a
/// point in time.
using TimeMs = std::int64_t;

/// The wall clock now. Threads: any.
TimeMs nowMs();

/// Writes a time as the API shows it: `2023-03-20T17:17:13.760Z`, always 3 decimals and `Z`.
std::string formatTime(TimeMs time);

/// Reads an ISO 8601 time in UTC: `2023-03-20T17:17:13Z`, up to 9 decimals (cut to 3), `Z` or `+00:00`.
/// Shape: nothing when the text is malformed, no real date, before 1970 or in another zone.
std::optional<TimeMs> parseTime(std::string_view text);

/// Whole seconds from `started` to `ended`, rounded up: 1 ms is 1 s, 0 ms is 0.
std::int64_t ceilSeconds(TimeMs started, TimeMs ended);

/// Reads a length of time as people write it in YAML: `500ms`, `30s`, `10m`, `2h`, `1d`, or a bare
/// number of seconds.
/// Unit: milliseconds. Shape: nothing when malformed, negative or longer than 10 years.
std::optional<std::int64_t> parseDurationMs(std::string_view text);

/// Reads a size: `1048576`, `64K`, `64KiB`, `1M`, `1MiB`, `1 GiB`; powers of 1024.
/// Unit: bytes. Shape: nothing when malformed, negative or over 2^62.
std::optional<std::int64_t> parseBytes(std::string_view text);

} // namespace agent
