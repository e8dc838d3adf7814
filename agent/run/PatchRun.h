#pragma once

#include "agent/model/Run.h"

#include <cstdint>
#include <optional>
#include <string>

namespace agent
{

class Engine;

struct RunPatch
{
    std::optional<std::string> commitHash;
    std::optional<std::string> commitMessage;
    std::optional<std::string> committer;
    std::optional<std::int64_t> pullNumber;
    std::optional<TriggerType> trigger;
    std::optional<std::int64_t> priority;
    std::optional<bool> kept; ///< a run that is no longer kept may be due at once
    std::string actor;
};

namespace commands
{

/// Corrects what is known of a run. Errors: Declined, NotFound.
void patchRun(Engine& engine, const std::string& runId, const RunPatch& patch);

} // namespace commands

} // namespace agent
