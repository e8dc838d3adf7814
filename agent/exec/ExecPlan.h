#pragma once

#include "agent/exec/ExecRequest.h"
#include "agent/model/PipelineSpec.h"

#include <vector>

namespace agent
{

class PluginRegistry;
class ServiceCatalog;

/// What an exec executes of a run that only it knows.
struct ExecPlan
{
    Run run;
    PipelineSpec pipeline;     ///< the service's, with the variables that were asked for
    std::vector<Stage> stages; ///< of the whole pipeline
    std::vector<int> toRun;    ///< numbers of stages: those before that it needs, and last itself

    [[nodiscard]] const StageSpec& specOf(const Stage& stage) const
    {
        return pipeline.stages.at(static_cast<std::size_t>(stage.ordinal));
    }
};

/// Finds the service and the stage, and checks that the stages may be executed here.
/// `problems`: errors in the services' files, reported if the service is not found.
/// Errors: ExecRefusal NotFound that lists what exists; Usage otherwise, also for a service that is declared but
/// refused.
ExecPlan planExec(const ExecRequest& request, const ServiceCatalog& services,
                  const PluginRegistry& plugins, const std::vector<Problem>& problems);

} // namespace agent
