#pragma once

#include <string>
#include <vector>

namespace agent
{

/// Returns the required system calls that this kernel, or a seccomp filter, does not provide, each with its reason:
/// `clone3 (Function not implemented)`. Tries each without side effects.
std::vector<std::string> missingKernelCalls();

} // namespace agent
