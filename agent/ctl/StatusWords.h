#pragma once

#include "agent/model/Stage.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace agent::ctl
{

/// Returns the status in the words of the dashboard: `Failed`, `Needs approval`. What stands behind it in brackets
/// stays: `Success (skipped)`. Other texts are returned unchanged.
std::string statusWords(std::string_view status);

/// Returns the status that a text names: in the API's spelling or the dashboard's words, in any case, with `-`, `_` or
/// a blank between words. What stands in brackets is ignored.
std::optional<Status> statusNamed(std::string_view text);

/// Returns the statuses of a list with commas, in the API's spelling. Returns nothing if one is unknown.
std::optional<std::vector<std::string>> statusesNamed(const std::string& text);

} // namespace agent::ctl
