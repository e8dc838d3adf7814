#include "agent/ctl/Lint.h"

#include "agent/ctl/AgentProgram.h"

#include <unistd.h>

namespace agent::ctl
{

void lint(const LintRequest& request)
{
    if (request.schema)
        execAgent({"--pipeline-schema"});
    std::vector<std::string> arguments{"--lint=" + request.file};
    std::string config = request.config;
    if (config.empty() && !request.service.empty() && ::access(installedConfiguration, R_OK) == 0)
        config = installedConfiguration;
    if (!config.empty())
        arguments.push_back("--config=" + config);
    for (const std::string& definition : request.definitions)
        arguments.push_back("--define=" + definition);
    if (!request.service.empty())
        arguments.push_back("--lint-service=" + request.service);
    execAgent(arguments);
}

} // namespace agent::ctl
