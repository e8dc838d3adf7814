#pragma once

#include "agent/model/PipelineSpec.h"
#include "agent/model/Run.h"

#include <string>

namespace agent
{

/// Why a stage with `run: failure` did not run: nothing failed before its turn came. Another turn may come.
inline constexpr const char* noFailure = "no stage before it failed";

/// Returns the branch of the run, or that of its pipeline.
const std::string& branchOf(const Run& run, const PipelineSpec& pipeline);

/// Returns why a stage of a new run never runs, for its branch and trigger; empty when it may run.
std::string skipReason(const WhenSpec& when, const Run& run, const PipelineSpec& pipeline);

} // namespace agent
