#include "agent/doctor/Checks.h"
#include "agent/program/Program.h"
#include "agent/run/OrderBuilder.h"

#include <cerrno>
#include <system_error>

#include <unistd.h>

namespace agent::doctor
{

namespace fs = std::filesystem;

namespace
{

/// A file full of errors must not hide the other checks.
constexpr std::size_t maxShown = 20;

void failEach(const std::string& check, const std::vector<Problem>& problems,
              const std::string& advice, Findings& findings)
{
    for (std::size_t i = 0; i < problems.size() && i < maxShown; ++i)
        findings.fail(check, problems[i].describe(), advice);
    if (problems.size() > maxShown)
        findings.fail(check, std::to_string(problems.size() - maxShown) + " more problems",
                      "stage-agent --check lists all of them");
}

std::string checkCommand(const Setup& setup)
{
    return setup.file.empty() ? "stage-agent --check"
                              : "stage-agent --config " + setup.file.string() + " --check";
}

/// Returns why the library can't be loaded, as reported by the plugin host; empty if it can.
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
                      "rebuild it with this agent's StagePlugin.h, and check with ldd that its "
                      "libraries exist (plugins/README.md)");
}

/// Only as far as known without a run: a service may set PATH, a relative path begins in the workspace,
/// and a name that comes from a setting is empty here.
void checkProgram(const Plugin& plugin, Findings& findings)
{
    const std::string program = plugin.argv({}).front();
    if (program.empty())
        return;
    const std::string path = InheritedEnvironment::ofThisProcess().path;
    if (program.find('/') == std::string::npos && findProgram(program, path).empty())
        findings.warn("plugins", plugin.name + ": program '" + program + "' not found in " + path,
                      "install it, or set PATH in the env of each service that uses the plugin");
    else if (program.front() == '/' && ::access(program.c_str(), X_OK) != 0)
        findings.fail("plugins",
                      plugin.name + ": " + program +
                          " can't be executed: " + std::generic_category().message(errno),
                      "chmod +x " + program);
}

} // namespace

void checkConfiguration(const Context& context, Findings& findings)
{
    const Setup& setup = context.setup;
    if (!setup.file.empty() && ::access(setup.file.c_str(), R_OK) != 0)
    {
        const int error = errno;
        return findings.fail("configuration",
                             setup.file.string() + " can't be read by " + context.user.name + ": " +
                                 std::generic_category().message(error),
                             error == ENOENT
                                 ? "give the agent's: --config FILE. The checks below use the "
                                   "defaults"
                                 : "chgrp " + context.user.name + " " + setup.file.string() +
                                       " && chmod 640 " + setup.file.string());
    }
    failEach(
        "configuration", setup.problems,
        "correct it, then: systemctl restart stage-agent (stage-agent.properties describes each "
        "key)",
        findings);
    if (setup.problems.empty())
        findings.ok("configuration", setup.file.empty() ? "no file: all keys have their defaults"
                                                        : setup.file.string());
}

void checkPrograms(const Context& context, Findings& findings)
{
    const std::string advice =
        "reinstall stage-agent: its programs must be of one version, in one folder";
    bool complete = true;
    for (const std::string name : {"stage-shim", "stage-plugin-host"})
    {
        const std::string program = (context.setup.programs / name).string();
        const std::string expected = name + " " STAGE_AGENT_VERSION "\n";
        std::string wrong;
        try
        {
            const auto end = runProgram({.argv = {program, "--version"}});
            if (!end.passed())
                wrong = program + " --version: " + end.describe();
            else if (end.out != expected)
                wrong = program + " is another version: " + end.out.substr(0, 100);
        }
        catch (const std::system_error& error)
        {
            wrong = error.what();
        }
        if (!wrong.empty())
            findings.fail("programs", wrong, advice);
        complete = complete && wrong.empty();
    }
    if (complete)
        findings.ok("programs", "stage-agent, stage-shim and stage-plugin-host " STAGE_AGENT_VERSION
                                " in " +
                                    context.setup.programs.string());
}

void checkPlugins(const Context& context, PluginRegistry& plugins, Findings& findings)
{
    const std::size_t before = findings.all().size();
    std::vector<Problem> problems;
    plugins.load(context.setup.programs / "plugins", problems);
    std::error_code error;
    if (fs::is_directory(context.setup.config.pluginsDir, error))
        plugins.load(context.setup.config.pluginsDir, problems);
    failEach("plugins", problems,
             "correct it, then: systemctl restart stage-agent (plugins/README.md)", findings);

    std::string names;
    for (const auto& [name, plugin] : plugins.all())
    {
        names +=
            (names.empty() ? "" : ", ") + std::string(name).append(" ").append(plugin->version);
        if (plugin->kind == Plugin::Kind::Library)
            checkLibrary(*plugin, context.setup.programs / "stage-plugin-host", findings);
        else if (plugin->kind == Plugin::Kind::Program)
            checkProgram(*plugin, findings);
    }
    if (findings.all().size() != before)
        return;
    if (plugins.all().empty())
        findings.fail("plugins", "none in " + (context.setup.programs / "plugins").string(),
                      "reinstall stage-agent, which includes some");
    else
        findings.ok("plugins", names);
}

void checkServices(const Context& context, const PluginRegistry& plugins,
                   const IsolationPolicy& isolation, ServiceCatalog& services, Findings& findings)
{
    const fs::path& folder = context.setup.config.servicesDir;
    // Secrets are checked separately.
    const auto problems = services.load(
        folder, plugins, [](const std::string& name) { return name; }, {}, isolation);
    failEach("services", problems,
             "correct it, then: " + checkCommand(context.setup) + "; systemctl reload stage-agent",
             findings);
    std::error_code error;
    if (!problems.empty())
        return;
    if (!fs::is_directory(folder, error))
        findings.warn("services", folder.string() + " does not exist: no services are declared",
                      "mkdir " + folder.string() +
                          ", or set services.dir to the folder with their YAML files");
    else
        findings.ok("services", std::to_string(services.all().size()) + " in " + folder.string());
}

} // namespace agent::doctor
