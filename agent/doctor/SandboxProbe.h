#pragma once

#include <filesystem>
#include <string>

namespace agent::doctor
{

/// Returns the path of bubblewrap; empty if it is not installed.
std::filesystem::path bubblewrap();

/// Makes a sandbox as stages get it, with nothing in it. `shim`: the stage-shim program.
/// Returns what keeps this process from it; empty if nothing does.
/// Blocks: for some milliseconds, 10 s at most.
std::string sandboxLack(const std::filesystem::path& shim, const std::filesystem::path& bubblewrap);

} // namespace agent::doctor
