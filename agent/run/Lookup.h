#pragma once

#include "agent/model/Declined.h"
#include "agent/run/Batch.h"
#include "agent/run/StagePatch.h"

#include <algorithm>
#include <optional>
#include <string>

namespace agent::commands
{

/// Errors: Declined, NotFound.
inline Run needRun(Batch& batch, const std::string& runId)
{
    auto run = batch.runs.run(runId);
    if (!run)
        throw Declined::notFound("run_not_found", "there is no run " + runId);
    return *run;
}

/// Errors: Declined: NotFound; Changed where `wanted` is given and does not hold the stage's version.
inline Stage needStage(Batch& batch, const std::string& stageId,
                       const std::optional<Versions>& wanted = {})
{
    auto stage = batch.runs.stage(stageId);
    if (!stage)
        throw Declined::notFound("stage_not_found", "there is no stage " + stageId);
    if (wanted && std::find(wanted->begin(), wanted->end(), stage->version) == wanted->end())
        throw Declined(Declined::Kind::Changed, "stage_changed",
                       "the stage changed meanwhile: its version is " +
                           std::to_string(stage->version));
    return *stage;
}

} // namespace agent::commands
