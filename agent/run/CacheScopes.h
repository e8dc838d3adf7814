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

/// Returns the branch that the run claims to be of.
std::string claimedBranch(const PipelineSpec& pipeline, const Run& run);

/// Whether the plain checkout has found the run's commit on the branch. A service without a repository needs no proof.
bool proved(const std::string& branch, const PipelineSpec& pipeline,
            const std::vector<Stage>& stages);

/// Returns the first 32 digits of the SHA-256 of `text`: a name for a folder.
std::string folderNameOf(const std::string& text);

/// Returns the branch of the service that the run is of, and not only says to be; nothing where it is of none, or of a pull request.
/// `stages`: as above.
std::optional<std::string> provedBranchOf(const Run& run, const PipelineSpec& pipeline,
                                          const std::vector<Stage>& stages);

/// Returns the branch of which the git plugin is to tell whether the run's commit is on it; empty: nobody wants to know.
std::string branchToTell(const PipelineSpec& pipeline, const Run& run);

} // namespace agent
