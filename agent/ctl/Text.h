#pragma once

#include "agent/model/Characters.h"
#include "agent/model/Timestamp.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace agent::ctl
{

using agent::appendVisible;
using agent::Character;
using agent::characterAt;
using agent::visible;

/// Returns the columns that a terminal needs for text without control characters.
std::size_t displayWidth(std::string_view text);

/// Returns the text cut to `width` columns; a cut text ends in `…`.
std::string clip(std::string_view text, std::size_t width);

/// Returns `7s`, `1m 23s`, `2h 5m 7s`, `3d 4h 0m`.
std::string durationText(std::int64_t seconds);

/// Returns `1.250s` below a minute; above, as durationText.
std::string durationTextMs(std::int64_t milliseconds);

/// Returns `now`, `50s ago`, `4m ago`, `3h ago`, `2d ago` for an age in ms.
std::string agoText(std::int64_t milliseconds);

/// Returns local time: `12:03:04` on the day of `now`, `Mar 20 17:17` in its year, else `2023-03-20`.
std::string localTime(TimeMs time, TimeMs now);

/// Returns local time as `12:03:04`.
std::string clockTime(TimeMs time);

/// Returns `512 B`, `1.2 MiB`.
std::string bytesText(std::int64_t bytes);

} // namespace agent::ctl
