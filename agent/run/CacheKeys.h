#pragma once

#include "agent/document/DocumentValue.h"
#include "agent/model/CacheSpec.h"

#include <vector>

namespace agent
{

/// Reads `cache` of a stage: docs/caches.md. `stored`: it is our own JSON, and only its shape is checked.
void readCaches(const DocumentValue& value, std::vector<CacheSpec>& caches, bool stored);

} // namespace agent
