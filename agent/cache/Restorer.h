#pragma once

#include "agent/wire/CacheFiles.h"

#include <functional>
#include <string>
#include <vector>

namespace agent::cache
{

/// Restores the caches of a stage, and tells what came of each, a line each. Never fails: a cache that can't be restored is one that
/// is not there. Order of steps: docs/caches.md, "Restoring".
std::vector<CacheUse> restoreCaches(const CachePlan& plan,
                                    const std::function<void(const std::string& line)>& say);

} // namespace agent::cache
