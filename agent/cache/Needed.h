#pragma once

#include "agent/wire/NeededFiles.h"

#include <functional>
#include <string>

namespace agent::cache
{

/// Copies the sets of `plan` into the workspace, one after the other, each whole or not at all: docs/artifacts.md, "What another
/// service made". `say` gets a line about each, in order.
/// Returns why the command must not be executed; nothing when all of them are there.
std::optional<NeedsFailure> takeNeeded(const NeedsPlan& plan,
                                       const std::function<void(const std::string& line)>& say);

} // namespace agent::cache
