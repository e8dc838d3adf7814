#pragma once

#include "agent/wire/CacheFiles.h"

namespace agent::cache
{

/// Makes the archive that `save` names, or leaves nothing. Order of steps: docs/caches.md, "Saving".
/// Returns what it saved. Errors: std::runtime_error; nothing is left then.
CacheHeader saveCache(const CacheSave& save);

} // namespace agent::cache
