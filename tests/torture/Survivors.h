#pragma once

#include <string>
#include <vector>

namespace agent::test
{

/// Every living process that carries one of `marks` in its environment or its arguments, as "pid
/// arguments". What clears its environment keeps its arguments.
std::vector<std::string> living(const std::vector<std::string>& marks);

/// Ends them. For what a test found and must not leave.
void endLiving(const std::vector<std::string>& marks);

} // namespace agent::test
