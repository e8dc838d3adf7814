#pragma once

#include "agent/plugin/PluginRegistry.h"

#include <filesystem>
#include <optional>
#include <vector>

namespace agent
{

/// Reads `folder`/plugin.yaml.
/// Errors: nothing, and every problem of the file with line and key in `problems`.
std::optional<Plugin> readManifest(const std::filesystem::path& folder,
                                   std::vector<Problem>& problems);

} // namespace agent
