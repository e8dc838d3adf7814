#include "agent/doctor/SandboxProbe.h"

#include "agent/program/Program.h"
#include "agent/run/OrderBuilder.h"

#include <system_error>

namespace agent::doctor
{

std::filesystem::path bubblewrap()
{
    return findProgram("bwrap", InheritedEnvironment::ofThisProcess().path);
}

std::string sandboxLack(const std::filesystem::path& shim, const std::filesystem::path& bubblewrap)
try
{
    if (bubblewrap.empty())
        return "bubblewrap is not installed";
    const ProgramEnd end =
        runProgram({.argv = {shim.string(), "--probe-sandbox", bubblewrap.string()}});
    return end.passed() ? "" : "bubblewrap: " + end.describe();
}
catch (const std::system_error& error)
{
    return error.what();
}

} // namespace agent::doctor
