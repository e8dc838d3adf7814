#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace agent
{

/// Variables that change what the programs of a stage execute, read or trust. A service's own `env` may
/// set them, and so may an inline pipeline; the request for a run of a declared service may not: it only
/// starts what the service's owner wrote. docs/variables.md is the same table for people.
struct RefusedVariables
{
    std::string_view what;               ///< `can't set NAME: it …`
    std::vector<std::string_view> names; ///< `NAME`, or `PREFIX*`
};

/// The whole table.
const std::vector<RefusedVariables>& refusedVariables();

/// Returns why neither a request for a declared service nor a file of its repository can set the variable; empty if they
/// can.
std::string requestVariableProblem(std::string_view name);

/// Returns whether it says which programs, libraries and code tables a process takes, and whose files; the last are what the agent tells
/// its git plugin (plugins/git/Surroundings.h). Source: ld.so(8)
/// on secure-execution mode; OPENSSL_init_crypto(3); the sanitizers' runtime options.
bool steersTheProcess(const std::string& variable);

} // namespace agent
