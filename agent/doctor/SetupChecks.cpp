#include "agent/doctor/Checks.h"
#include "agent/process/Program.h"
#include "agent/run/OrderBuilder.h"

#include <cerrno>
#include <system_error>

#include <unistd.h>

namespace agent::doctor
{

namespace fs = std::filesystem;

namespace
{

/// A file that is wrong from top to bottom must not hide the other checks.
constexpr std::size_t mostShown = 20;

void failEach(const std::string& check, const std::vector<Problem>& problems,
              const std::string& advice, Findings& findings)
{
    for (std::size_t i = 0; i < problems.size() && i < mostShown; ++i)
        findings.fail(check, problems[i].describe(), advice);
    if (problems.size() > mostShown)
        findings.fail(check, std::to_string(problems.size() - mostShown) + " more problems",
                      "stage-agent --check lists them all");
}

std::string checkCommand(const Setup& setup)
{
    return setup.file.empty() ? "stage-agent --check"
                              : "stage-agent --config " + setup.file.string() + " --check";
}

/// Why a library can't be used, in the plugin host's own words; empty when it can.
std::string loadProblem(const Plugin& plugin, const fs::path& host)
{
    try
    {
        const auto end = runProgram({.argv = {host.string(), "--check", plugin.library.string()}});
        return end.passed() ? "" : plugin.library.string() + ": " + end.describe();
    }
    catch (const std::system_error& error)
    {
        return error.what();
    }
}

void checkLibrary(const Plugin& plugin, const fs::path& host, Findings& findings)
{
    if (const auto wrong = loadProblem(plugin, host); !wrong.empty())
        findings.fail("plugins", plugin.name + ": " + wrong,
                      "build it again with this agent's StagePlugin.h, and see with ldd that its "
                      "libraries are there (plugins/README.md)");
}

/// As far as that is to be seen here: a service may have a PATH of its own, and a path that is not absolute
/// begins in the workspace; a name that a setting gives is empty.
void checkProgram(const Plugin& plugin, Findings& findings)
{
    const std::string program = plugin.argv({}).front();
    if (program.empty())
        return;
    if (program.find('/') == std::string::npos && findProgram(program, standardPath).empty())
        findings.warn("plugins",
                      plugin.name + ": there is no program '" + program + "' in " + standardPath,
                      "install it, or let the env of each service that uses the plugin set a PATH "
                      "that has it");
    else if (program.front() == '/' && ::access(program.c_str(), X_OK) != 0)
        findings.fail("plugins",
                      plugin.name + ": " + program +
                          " can't be executed: " + std::generic_category().message(errno),
                      "chmod +x " + program);
}

} // namespace

void checkConfiguration(const Visit& visit, Findings& findings)
{
    const Setup& setup = visit.setup;
    if (!setup.file.empty() && ::access(setup.file.c_str(), R_OK) != 0)
    {
        const int error = errno;
        return findings.fail("configuration",
                             setup.file.string() + " can't be read by " + visit.user.name + ": " +
                                 std::generic_category().message(error),
                             error == ENOENT
                                 ? "name the one of the agent: --config FILE. What follows goes by "
                                   "the defaults"
                                 : "chgrp " + visit.user.name + " " + setup.file.string() +
                                       " && chmod 640 " + setup.file.string());
    }
    failEach("configuration", setup.problems,
             "put it right, then: systemctl restart stage-agent (each key is explained in "
             "stage-agent.properties)",
             findings);
    if (setup.problems.empty())
        findings.ok("configuration",
                    setup.file.empty() ? "no file: each key has its default" : setup.file.string());
}

void checkPrograms(const Visit& visit, Findings& findings)
{
    const std::string advice =
        "install all of stage-agent anew: its programs belong to one version and one folder";
    bool whole = true;
    for (const std::string name : {"stage-shim", "stage-plugin-host"})
    {
        const std::string program = (visit.setup.programs / name).string();
        const std::string expected = name + " " STAGE_AGENT_VERSION "\n";
        std::string wrong;
        try
        {
            const auto end = runProgram({.argv = {program, "--version"}});
            if (!end.passed())
                wrong = program + " --version: " + end.describe();
            else if (end.out != expected)
                wrong = program + " is of another version: " + end.out.substr(0, 100);
        }
        catch (const std::system_error& error)
        {
            wrong = error.what();
        }
        if (!wrong.empty())
            findings.fail("programs", wrong, advice);
        whole = whole && wrong.empty();
    }
    if (whole)
        findings.ok("programs", "stage-agent, stage-shim and stage-plugin-host " STAGE_AGENT_VERSION
                                " in " +
                                    visit.setup.programs.string());
}

void checkPlugins(const Visit& visit, PluginRegistry& plugins, Findings& findings)
{
    const std::size_t before = findings.all().size();
    std::vector<Problem> problems;
    plugins.load(visit.setup.programs / "plugins", problems);
    std::error_code error;
    if (fs::is_directory(visit.setup.config.pluginsDir, error))
        plugins.load(visit.setup.config.pluginsDir, problems);
    failEach("plugins", problems,
             "put it right, then: systemctl restart stage-agent (plugins/README.md)", findings);

    std::string names;
    for (const auto& [name, plugin] : plugins.all())
    {
        names += (names.empty() ? "" : ", ") + std::string(name).append(" ").append(plugin.version);
        if (plugin.kind == Plugin::Kind::Library)
            checkLibrary(plugin, visit.setup.programs / "stage-plugin-host", findings);
        else if (plugin.kind == Plugin::Kind::Program)
            checkProgram(plugin, findings);
    }
    if (findings.all().size() != before)
        return;
    if (plugins.all().empty())
        findings.fail("plugins", "there are none in " + (visit.setup.programs / "plugins").string(),
                      "install stage-agent anew: some come along with it");
    else
        findings.ok("plugins", names);
}

void checkServices(const Visit& visit, const PluginRegistry& plugins, ServiceCatalog& services,
                   Findings& findings)
{
    const fs::path& folder = visit.setup.config.servicesDir;
    // Secrets have a check of their own.
    const auto problems =
        services.load(folder, plugins, [](const std::string& name) { return name; }, {});
    failEach("services", problems,
             "put it right, then: " + checkCommand(visit.setup) + "; systemctl reload stage-agent",
             findings);
    std::error_code error;
    if (!problems.empty())
        return;
    if (!fs::is_directory(folder, error))
        findings.warn("services", folder.string() + " is not there, so there are no services",
                      "mkdir " + folder.string() +
                          ", or set services.dir to the folder with their YAML files");
    else
        findings.ok("services", std::to_string(services.all().size()) + " in " + folder.string());
}

} // namespace agent::doctor
