#pragma once

#include <set>
#include <string>

namespace agent::test
{

/// The failpoints of each program, as the sources have them.
struct Places
{
    std::set<std::string> daemon;
    std::set<std::string> shim;
    std::set<std::string> cache;     ///< of stage-cache
    std::set<std::string> collector; ///< of stage-collector
    std::set<std::string> errors;    ///< of the shim: where a call can be made to fail
};

Places places();

} // namespace agent::test
