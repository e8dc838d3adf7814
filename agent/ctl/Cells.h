#pragma once

#include "agent/ctl/Terminal.h"

#include <rapidjson/document.h>

#include <cstddef>
#include <string>

namespace agent::ctl
{

/// Returns an id for a table: shortened on a terminal, complete in a pipe.
std::string idCell(const Terminal& terminal, const std::string& id);

/// Returns a member's time, short and local; the text itself if it is not a time.
std::string timeCell(const rapidjson::Value& object, const char* key);

/// Returns a status, with what stands behind it in brackets, as the terminal shows it: in words and colour.
std::string statusCell(const Terminal& terminal, const std::string& status);

/// Returns how long ago a member's time was, `4m ago`; in a pipe, where it would soon be wrong, as timeCell.
std::string agoCell(const Terminal& terminal, const rapidjson::Value& object, const char* key);

/// From so many columns on, tables show more than the most needed columns.
constexpr std::size_t wideEnough = 100;

/// Returns how long a run or stage took, or has been running.
std::string tookCell(const rapidjson::Value& object);

/// Returns what keeps a run from going on, in words: `a slot, place 3`; empty if nothing does.
std::string waitsCell(const Terminal& terminal, const rapidjson::Value& run);

/// Returns one line per member, `key  value`; members of a nested object as `key.member`, one level deep.
std::string described(const Terminal& terminal, const rapidjson::Value& object);

} // namespace agent::ctl
