#pragma once

#include "agent/ctl/Terminal.h"

#include <rapidjson/document.h>

#include <string>

namespace agent::ctl
{

/// What stands in tables for a person. Ids are cut on a terminal, where a person reads; in a pipe they
/// stay whole.
std::string idCell(const Terminal& terminal, const std::string& id);

/// A member's time, short and local; as it is written where it is none.
std::string timeCell(const rapidjson::Value& object, const char* key);

/// How long a run or stage took, or has been running.
std::string tookCell(const rapidjson::Value& object);

/// One line a member, `key  value`; the members of an object inside as `key.member`, one level deep.
std::string described(const Terminal& terminal, const rapidjson::Value& object);

} // namespace agent::ctl
