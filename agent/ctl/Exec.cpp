#include "agent/ctl/Exec.h"

#include "agent/ctl/Failure.h"
#include "agent/ctl/Sibling.h"
#include "agent/ctl/Text.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <unistd.h>
#include <utility>

namespace agent::ctl
{

namespace
{

std::string configurationOf(const ExecCommand& command)
{
    std::string file = command.config;
    // One that we may not even see is there: it must not be taken for none.
    if (file.empty() && (::access(unitsConfiguration, F_OK) == 0 || errno == EACCES))
        file = unitsConfiguration;
    if (file.empty())
        return file;
    if (::access(file.c_str(), R_OK) != 0)
        throw Failure(Exit::Usage, "the configuration " + visible(file) +
                                       " can't be read: " + std::strerror(errno));
    if (!std::filesystem::is_regular_file(file))
        throw Failure(Exit::Usage, "the configuration " + visible(file) + " is no file");
    return file;
}

} // namespace

void becomeExec(const ExecCommand& command)
{
    std::vector<std::string> arguments{"--exec"};
    const auto give = [&](const std::string& option, const std::string& value)
    {
        if (!value.empty())
            arguments.push_back(option + "=" + value);
    };
    give("--config", configurationOf(command));
    for (const auto& definition : command.definitions)
        give("--define", definition);
    give("--commit", command.commit);
    give("--branch", command.branch);
    for (const auto& variable : command.env)
        give("--env", variable);
    give("--workspace", command.workspace);
    for (const auto& [flag, set] :
         {std::pair("--keep", command.keep), {"--raw", command.raw}, {"--yes", command.sure}})
        if (set)
            arguments.emplace_back(flag);
    arguments.insert(arguments.end(), {"--", command.service, command.stage});
    becomeAgent(arguments);
}

} // namespace agent::ctl
