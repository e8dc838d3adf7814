#include "agent/ctl/Exec.h"

#include "agent/ctl/AgentProgram.h"
#include "agent/ctl/Failure.h"
#include "agent/ctl/Json.h"
#include "agent/ctl/Lookup.h"
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
    // EACCES: it may exist, and must not be ignored.
    if (file.empty() && (::access(installedConfiguration, F_OK) == 0 || errno == EACCES))
        file = installedConfiguration;
    if (file.empty())
        return file;
    if (::access(file.c_str(), R_OK) != 0)
        throw Failure(Exit::Usage, "the configuration " + visible(file) +
                                       " can't be read: " + std::strerror(errno));
    if (!std::filesystem::is_regular_file(file))
        throw Failure(Exit::Usage, "the configuration " + visible(file) + " is not a regular file");
    return file;
}

} // namespace

void findWorkspace(const Agents& agents, ExecCommand& command)
{
    if (command.from.find('/') != std::string::npos)
        return;
    const Target run = findRun(agents, command.from, Use::Read);
    const auto facts = objectOf(run.client->ask({.path = "/api/runs/" + run.id}));
    const auto stages = listOf(run.client->ask({.path = "/api/stages?runId=" + run.id}));
    std::string folder;
    if (!stages.Empty())
    {
        const auto stage =
            objectOf(run.client->ask({.path = "/api/stages/" + encoded(text(stages[0], "id"))}));
        if (const rapidjson::Value* definition = member(stage, "definition"))
            folder = text(*definition, "workspace");
    }
    if (folder.empty())
        throw Failure(Exit::Conflict, "the workspace of run " + run.id +
                                          " is gone (workspace.keep): use --with-before");
    command.from = folder;
    if (command.commit.empty())
        command.commit = text(facts, "commitHash");
    if (command.branch.empty())
        command.branch = text(facts, "branch");
}

void execStage(const ExecCommand& command)
{
    std::vector<std::string> arguments{"--exec"};
    const auto pass = [&](const std::string& option, const std::string& value)
    {
        if (!value.empty())
            arguments.push_back(option + "=" + value);
    };
    pass("--config", configurationOf(command));
    for (const auto& definition : command.definitions)
        pass("--define", definition);
    pass("--commit", command.commit);
    pass("--branch", command.branch);
    for (const auto& variable : command.env)
        pass("--env", variable);
    pass("--workspace", command.workspace);
    pass("--from", command.from);
    for (const auto& [flag, set] : {std::pair("--keep", command.keep),
                                    {"--raw", command.raw},
                                    {"--with-before", command.withBefore},
                                    {"--yes", command.confirmed}})
        if (set)
            arguments.emplace_back(flag);
    arguments.insert(arguments.end(), {"--", command.service, command.stage});
    execAgent(arguments);
}

} // namespace agent::ctl
