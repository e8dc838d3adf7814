#pragma once

#include <optional>
#include <string_view>

namespace agent
{

/// How the log gets what a stage's command writes.
enum class StageOutput
{
    Merged, ///< stdout and stderr are one pipe: in the order in which it was written, all of it as stdout
    Separate ///< a pipe each: the log tells them apart, and knows the order only where time passes between
};

std::string_view toString(StageOutput output); ///< `merged`, `separate`
std::optional<StageOutput> stageOutputFrom(std::string_view text);

} // namespace agent
