#pragma once

#include "agent/model/PipelineSpec.h"
#include "agent/model/Run.h"

#include <optional>
#include <string>
#include <vector>

namespace agent
{

/// Who shares caches: a branch of a service, or one of its pull requests.
struct CacheScope
{
    std::string folder;
    std::string name; ///< for people: `main`, `pull/7`
};

/// Which caches a run may read and write: docs/caches.md.
struct CacheRights
{
    std::string service;              ///< the folder; empty: it has none
    std::optional<CacheScope> writes; ///< none: it leaves none behind
    std::vector<CacheScope> reads;    ///< in the order in which they are looked at
};

/// `stages`: those of the run, as far as they have come.
CacheRights cacheRightsOf(const Run& run, const PipelineSpec& pipeline,
                          const std::vector<Stage>& stages);

/// Returns the branch of which the git plugin is to tell whether the run's commit is on it; empty: nobody wants to know.
std::string branchToTell(const PipelineSpec& pipeline, const Run& run);

} // namespace agent
