#include "agent/ctl/Init.h"

#include "agent/ctl/AgentProgram.h"
#include "agent/ctl/Json.h"
#include "agent/ctl/ProjectStages.h"
#include "agent/ctl/Repository.h"
#include "agent/ctl/Terminal.h"
#include "agent/ctl/Text.h"
#include "agent/program/Program.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace agent::ctl
{

namespace
{

namespace fs = std::filesystem;

constexpr const char* installedServices = "/etc/stage-agent/services.d";
constexpr std::size_t longestName = 64;

/// Returns the text as a name that a service may have.
std::string serviceName(const std::string& text)
{
    std::string name;
    for (const char c : text)
    {
        const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0;
        if (plain || (!name.empty() && (c == '.' || c == '_' || c == '-')))
            name += c;
        else if (!name.empty() && name.back() != '-')
            name += '-';
    }
    name.resize(std::min(name.size(), longestName));
    return name.empty() ? "service" : name;
}

std::string serviceFile(const std::string& name, const Repository& repository,
                        const Project& project)
{
    std::string out = "# A " + project.kind + " project, by its " + project.seenFrom +
                      "; written by `stagectl init`. full.yaml.example shows every key.\n";
    out += "name: " + name + "\n";
    out += "repository: " +
           quoted(repository.url.empty() ? repository.root.string() : repository.url) + "\n";
    if (!repository.branch.empty())
        out += "branch: " + quoted(repository.branch) + "\n";
    out += "stages:\n  - type: PREPARE\n    plugin: git\n";
    for (const FirstStage& stage : project.stages)
    {
        out += "\n  - type: " + stage.type + "\n    plugin: shell\n    with:\n      command: |\n";
        out += stage.commands.size() > 1 ? "        set -e\n" : "";
        for (const std::string& command : stage.commands)
            out += "        " + command + "\n";
        out += "    timeout: 30m\n";
    }
    return out;
}

/// A folder of its own for a moment.
class TemporaryFolder
{
public:
    TemporaryFolder()
    {
        std::string pattern = (fs::temp_directory_path() / "stagectl-init-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr)
            throw Failure(Exit::Usage, pattern + ": " + std::strerror(errno));
        _path = pattern;
    }
    ~TemporaryFolder()
    {
        std::error_code ignored;
        fs::remove_all(_path, ignored);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    [[nodiscard]] const fs::path& path() const { return _path; }

private:
    fs::path _path;
};

void writeFile(const fs::path& file, const std::string& text)
{
    std::ofstream out(file, std::ios::binary | std::ios::trunc);
    out << text;
    out.close();
    if (!out)
        throw Failure(Exit::Usage, visible(file.string()) +
                                       " can't be written: " + std::strerror(errno) +
                                       "\nanother folder: --services DIR; only show it: --print");
}

/// Checks the file as the agent will read it. Errors: Failure Usage with what is wrong.
void check(const std::string& name, const std::string& text)
{
    const TemporaryFolder folder;
    writeFile(folder.path() / (name + ".yaml"), text);
    std::vector<std::string> argv{agentProgram().string(), "--check"};
    if (::access(installedConfiguration, R_OK) == 0)
        argv.insert(argv.end(), {"--config", installedConfiguration});
    argv.insert(argv.end(), {"-D", "services.dir=" + folder.path().string()});
    const ProgramEnd end = runProgram({.argv = argv, .timeout = std::chrono::seconds(30)});
    if (!end.passed())
        throw Failure(Exit::Usage,
                      "the service file was not accepted: " + end.describe() + "\n" + end.err);
}

fs::path targetFolder(const InitRequest& request)
{
    const fs::path folder = request.services.empty() ? installedServices : request.services;
    std::error_code ignored;
    if (!fs::is_directory(folder, ignored))
        throw Failure(Exit::Usage, visible(folder.string()) +
                                       " is no folder: give that of the agent's services.dir with "
                                       "--services DIR, or --print");
    return fs::absolute(folder);
}

} // namespace

Exit initService(const InitRequest& request)
{
    const auto repository = repositoryAround(fs::current_path());
    if (!repository)
        throw Failure(Exit::Usage, "this folder is in no git repository: go into one, or begin "
                                   "with `git init`");
    const auto project = projectIn(repository->root);
    if (!project)
        throw Failure(Exit::Usage,
                      "nothing in " + visible(repository->root.string()) +
                          " tells how it is built: there is no package.json, CMakeLists.txt, "
                          "Cargo.toml, go.mod, pyproject.toml, setup.py, requirements.txt or "
                          "Makefile\nwrite the file by hand: full.yaml.example shows every key");
    const std::string name =
        request.name.empty() ? serviceName(repository->root.filename().string()) : request.name;
    const std::string text = serviceFile(name, *repository, *project);
    if (serviceName(name) != name)
        throw Failure(Exit::Usage, "--name must be letters, digits, '.', '_' and '-'");
    check(name, text);
    if (request.onlyPrint)
    {
        writeOut(text);
        return Exit::Ok;
    }
    const fs::path file = targetFolder(request) / (name + ".yaml");
    std::error_code ignored;
    if (fs::exists(file, ignored) && !request.force)
        throw Failure(Exit::Usage, visible(file.string()) +
                                       " is there already: --force overwrites it, --name gives "
                                       "another name");
    writeFile(file, text);
    if (repository->hadCredentials)
        note("origin's URL holds a password, which was left out: docs/git.md says where it goes");
    if (repository->url.empty())
        note("the repository has no origin: its folder is used, which the agent must be able to "
             "read");
    writeOut("wrote " + visible(file.string()) + ": " + project->kind + ", " +
             std::to_string(project->stages.size() + 1) + " stages; checked\n\nnext:\n" +
             "  sudo systemctl reload stage-agent    # or SIGHUP to the agent\n" +
             "  stagectl run " + name + " --follow\n");
    return Exit::Ok;
}

} // namespace agent::ctl
