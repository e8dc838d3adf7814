#include "agent/ctl/AgentProgram.h"

#include "agent/ctl/Failure.h"
#include "agent/program/Program.h"

#include <cerrno>
#include <cstring>
#include <unistd.h>

namespace agent::ctl
{

std::filesystem::path agentProgram()
{
    const auto here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    const auto beside = here / "stage-agent";
    const auto installed = here.parent_path() / "lib/stage-agent/stage-agent";
    for (const auto& path : {beside, installed})
        if (::access(path.c_str(), X_OK) == 0)
            return path;
    throw Failure(Exit::Usage, "stage-agent not found: neither " + beside.string() + " nor " +
                                   installed.string() + " is an executable");
}

void execAgent(const std::vector<std::string>& arguments)
{
    const std::string program = agentProgram().string();
    becomeProgram(program, arguments);
    throw Failure(Exit::Usage, program + ": " + std::strerror(errno));
}

} // namespace agent::ctl
