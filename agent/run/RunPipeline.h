#pragma once

#include "agent/model/PipelineSpec.h"
#include "agent/model/Run.h"
#include "agent/run/IsolationPolicy.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace agent
{

class PluginRegistry;

/// Returns what a run of the service with this trigger executes: of a pull request it has no secrets, unless the service says
/// so, and of a fork's much less: docs/secrets.md.
/// Errors: Declined Invalid where forks start nothing, or the trigger is none of a pull request.
PipelineSpec pipelineFor(const Service& service, TriggerType trigger,
                         const std::optional<Fork>& fork = std::nullopt);

/// Returns what a fork's run has for a branch: the fork may have given its own any name, such as `main`.
std::string branchOfFork(std::int64_t pullNumber);

/// Checks the pipeline of a new run, and fits it to its trigger: what comes with a pull request stays in the sandbox,
/// whatever the trigger is patched to. `problems`: those that its reader found; `prefix`: of the fields in messages.
/// Errors: Declined Invalid.
void checkPipeline(PipelineSpec& pipeline, std::vector<Problem> problems,
                   const std::string& serviceName, TriggerType trigger,
                   const PluginRegistry& plugins, const IsolationPolicy& isolation,
                   const std::string& prefix = "");

} // namespace agent
