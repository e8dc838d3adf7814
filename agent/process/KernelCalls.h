#pragma once

#include <string>
#include <vector>

namespace agent
{

/// The system calls that agent and shim can't do without and that this kernel, or a filter in front of
/// it such as a container's, does not give us. Tries each in a way that changes nothing.
/// Shape: empty when all are there; else each with its reason: `clone3 (Function not implemented)`.
std::vector<std::string> missingKernelCalls();

} // namespace agent
