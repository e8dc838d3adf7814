#pragma once

#include "agent/model/PipelineSpec.h"
#include "agent/model/Run.h"

#include <map>
#include <string>
#include <vector>

namespace agent
{

/// The secrets that a stage names, or its service for it: docs/secrets.md.
struct StageSecrets
{
    std::vector<std::string> given;
    std::map<std::string, std::string> withheld; ///< and why
};

/// Returns why a stage of this type can't name the secret besides those of its service; empty when it can.
std::string secretProblem(const PipelineSpec& pipeline, const std::string& name, StageType type);

/// The same for a stage of a file in the repository: the service has to grant it.
std::string grantProblem(const PipelineSpec& pipeline, const std::string& name, StageType type);

/// Returns what is masked in the logs of the run: what its stages may have, and git.
std::vector<std::string> masksOf(const PipelineSpec& pipeline);

/// Returns what the stage gets in this run.
StageSecrets secretsFor(const PipelineSpec& pipeline, const StageSpec& stage, const Run& run);

/// Returns the branch that the run's commit has to be on, for a secret of it is for that branch; empty: none.
std::string branchToProve(const PipelineSpec& pipeline, const Run& run);

} // namespace agent
