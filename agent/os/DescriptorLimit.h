#pragma once

#include <cstddef>
#include <sys/resource.h>

namespace agent
{

/// Raises this process's limit of open descriptors to its hard limit. Shims, and so stages, and what runProgram() runs get
/// the one that was in force before: programs that go through all possible descriptors would take long.
/// Returns the limit in force.
/// Threads: before there are others.
std::size_t raiseDescriptorLimit();

/// The limit for children; nothing (both 0) when raiseDescriptorLimit() changed none.
const rlimit& descriptorLimitOfChildren();

} // namespace agent
