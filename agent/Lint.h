#pragma once

#include "agent/model/PipelineSpec.h"
#include "agent/plugin/PluginRegistry.h"

#include <filesystem>

namespace agent
{

/// Checks a pipeline file of a repository as PREPARE of a run does, and prints what is wrong with it to stderr, what it
/// has to stdout. `service`: whose rules count; null: no service's, and what of plugins this host does not have is not
/// checked, which is told.
/// Returns the exit code: 0; 1 when something is wrong with it; 2 when it can't be read.
int lint(const std::filesystem::path& file, const Service* service, const PluginRegistry& plugins,
         std::int64_t defaultTimeoutMs);

} // namespace agent
