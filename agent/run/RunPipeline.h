#pragma once

#include "agent/model/PipelineSpec.h"
#include "agent/model/Run.h"
#include "agent/run/IsolationPolicy.h"

#include <string>
#include <vector>

namespace agent
{

class PluginRegistry;

/// Checks the pipeline of a new run, and fits it to its trigger: what comes with a pull request stays in the sandbox,
/// whatever the trigger is patched to. `problems`: those that its reader found; `prefix`: of the fields in messages.
/// Errors: Declined Invalid.
void checkPipeline(PipelineSpec& pipeline, std::vector<Problem> problems,
                   const std::string& serviceName, TriggerType trigger,
                   const PluginRegistry& plugins, const IsolationPolicy& isolation,
                   const std::string& prefix = "");

} // namespace agent
