#include "agent/ctl/ProjectStages.h"

#include "agent/ctl/Json.h"

#include <rapidjson/document.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <system_error>
#include <utility>

namespace agent::ctl
{

namespace
{

namespace fs = std::filesystem;

bool has(const fs::path& root, const char* name)
{
    std::error_code ignored;
    return fs::exists(root / name, ignored);
}

std::string contentOf(const fs::path& file)
{
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

Project cargo(const fs::path& root)
{
    const std::string locked = has(root, "Cargo.lock") ? " --locked" : "";
    return {
        .kind = "Cargo",
        .seenFrom = "Cargo.toml",
        .stages = {{"BUILD", {"cargo build" + locked}}, {"UNIT_TEST", {"cargo test" + locked}}}};
}

Project go(const fs::path&)
{
    return {.kind = "Go",
            .seenFrom = "go.mod",
            .stages = {{"CODE_QUALITY", {"go vet ./..."}},
                       {"BUILD", {"go build ./..."}},
                       {"UNIT_TEST", {"go test ./..."}}}};
}

/// The command that installs what the lock file names.
std::string install(const fs::path& root)
{
    if (has(root, "pnpm-lock.yaml"))
        return "pnpm install --frozen-lockfile";
    if (has(root, "yarn.lock"))
        return "yarn install --frozen-lockfile";
    return has(root, "package-lock.json") ? "npm ci" : "npm install";
}

Project node(const fs::path& root)
{
    Project project{.kind = "Node", .seenFrom = "package.json", .stages = {}};
    rapidjson::Document package;
    const bool read = parseJson(contentOf(root / "package.json"), package);
    const rapidjson::Value* scripts = read ? member(package, "scripts") : nullptr;
    const auto declares = [&](const char* script)
    {
        // What `npm init` writes for tests only fails.
        const std::string command = scripts == nullptr ? "" : text(*scripts, script);
        return !command.empty() && command.find("no test specified") == std::string::npos;
    };
    const std::string tool = has(root, "pnpm-lock.yaml") ? "pnpm"
                             : has(root, "yarn.lock")    ? "yarn"
                                                         : "npm";
    for (const auto& [script, type] :
         {std::pair("lint", "CODE_QUALITY"), {"test", "UNIT_TEST"}, {"build", "BUILD"}})
        if (declares(script))
            project.stages.push_back({type, {tool + " run " + script}});
    if (project.stages.empty())
        project.stages.push_back({"BUILD", {}});
    // The stages share the workspace: what the first one installs is there for all.
    auto& first = project.stages.front().commands;
    first.insert(first.begin(), install(root));
    return project;
}

Project cmake(const fs::path&)
{
    return {.kind = "CMake",
            .seenFrom = "CMakeLists.txt",
            .stages = {{"BUILD",
                        {"cmake -S . -B build -DCMAKE_BUILD_TYPE=Release",
                         "cmake --build build --parallel"}},
                       {"UNIT_TEST", {"ctest --test-dir build --output-on-failure"}}}};
}

Project python(const fs::path& root)
{
    const std::string pyproject = contentOf(root / "pyproject.toml");
    const std::string requirements = contentOf(root / "requirements.txt");
    std::vector<std::string> commands{"python3 -m venv .venv"};
    if (has(root, "requirements.txt"))
        commands.emplace_back(".venv/bin/pip install -r requirements.txt");
    const bool package = has(root, "setup.py") || pyproject.find("[project]") != std::string::npos;
    if (package)
        commands.emplace_back(".venv/bin/pip install -e .");
    const bool pytest = has(root, "pytest.ini") || has(root, "conftest.py") ||
                        pyproject.find("pytest") != std::string::npos ||
                        requirements.find("pytest") != std::string::npos;
    if (pytest && requirements.find("pytest") == std::string::npos)
        commands.emplace_back(".venv/bin/pip install pytest");
    return {.kind = "Python",
            .seenFrom = has(root, "pyproject.toml") ? "pyproject.toml"
                        : has(root, "setup.py")     ? "setup.py"
                                                    : "requirements.txt",
            .stages = {{"BUILD", std::move(commands)},
                       {"UNIT_TEST",
                        {pytest ? ".venv/bin/python -m pytest" : ".venv/bin/python -m unittest"}}}};
}

/// Returns the plain targets of a makefile.
std::set<std::string> targetsOf(const std::string& makefile)
{
    std::set<std::string> targets;
    std::istringstream lines(makefile);
    for (std::string line; std::getline(lines, line);)
    {
        const auto colon = line.find(':');
        const std::string name = line.substr(0, colon);
        const bool plain = colon != std::string::npos && !name.empty() &&
                           line.compare(colon, 2, ":=") != 0 &&
                           name.find_first_of(" \t#$%=.") == std::string::npos;
        if (plain)
            targets.insert(name);
    }
    return targets;
}

Project make(const fs::path& root)
{
    const auto targets =
        targetsOf(contentOf(root / (has(root, "Makefile") ? "Makefile" : "makefile")));
    Project project{.kind = "Make", .seenFrom = "Makefile", .stages = {}};
    if (targets.contains("lint"))
        project.stages.push_back({"CODE_QUALITY", {"make lint"}});
    project.stages.push_back({"BUILD", {"make"}});
    for (const char* name : {"test", "check"})
        if (targets.contains(name))
        {
            project.stages.push_back({"UNIT_TEST", {std::string("make ") + name}});
            break;
        }
    return project;
}

} // namespace

std::optional<Project> projectIn(const fs::path& root)
{
    using Make = Project (*)(const fs::path&);
    for (const auto& [file, kind] :
         std::vector<std::pair<const char*, Make>>{{"Cargo.toml", cargo},
                                                   {"go.mod", go},
                                                   {"package.json", node},
                                                   {"CMakeLists.txt", cmake},
                                                   {"pyproject.toml", python},
                                                   {"setup.py", python},
                                                   {"requirements.txt", python},
                                                   {"Makefile", make},
                                                   {"makefile", make}})
        if (has(root, file))
            return kind(root);
    return std::nullopt;
}

} // namespace agent::ctl
