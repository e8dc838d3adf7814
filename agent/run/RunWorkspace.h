#pragma once

#include "agent/run/StateFolder.h"
#include "agent/store/Database.h"

#include <filesystem>
#include <string>

namespace agent
{

/// Returns where the run's stages are executed: one of its own, or one that is kept for its service. Empty where another
/// run has had that since. Whether the folder is there is another question.
std::filesystem::path workspaceOf(RecordSession& connection, const StateFolder& state,
                                  const std::string& runId);

} // namespace agent
