#include "tests/support/PluginProcess.h"

#include <rapidjson/document.h>

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <spawn.h>
#include <sstream>
#include <stdexcept>
#include <sys/wait.h>

namespace fs = std::filesystem;

namespace
{

std::vector<char*> pointers(std::vector<std::string>& texts)
{
    std::vector<char*> all;
    all.reserve(texts.size() + 1);
    for (std::string& text : texts)
        all.push_back(text.data());
    all.push_back(nullptr);
    return all;
}

std::map<std::string, std::string> outputsOf(const std::string& json)
{
    std::map<std::string, std::string> outputs;
    rapidjson::Document document;
    if (!document.Parse(json.c_str()).HasParseError() && document.IsObject())
        for (const auto& member : document.GetObject())
            outputs[member.name.GetString()] = member.value.GetString();
    return outputs;
}

} // namespace

PluginFolder::PluginFolder()
{
    const char* tmp = std::getenv("TMPDIR");
    std::string name = std::string(tmp ? tmp : "/tmp") + "/stage-plugin-XXXXXX";
    if (!mkdtemp(name.data()))
        throw std::runtime_error("no temporary folder");
    _path = name;
    for (const char* part : {"workspace", "cache", "home"})
        fs::create_directory(_path / part);
}

PluginFolder::~PluginFolder()
{
    std::error_code ignored;
    fs::remove_all(_path, ignored);
}

std::map<std::string, std::string>
PluginFolder::environment(const std::map<std::string, std::string>& settings) const
{
    std::map<std::string, std::string> env{{"PATH", "/usr/local/bin:/usr/bin:/bin"},
                                           {"HOME", _path / "home"},
                                           {"LANG", "C.UTF-8"},
                                           {"CI", "true"},
                                           {"STAGE_ID", "s1"},
                                           {"STAGE_TYPE", "PREPARE"},
                                           {"STAGE_ATTEMPT", "1"},
                                           {"RUN_ID", "r1"},
                                           {"SERVICE_NAME", "payment"},
                                           {"WORKSPACE", workspace()},
                                           {"STAGE_OUTPUTS", _path / "outputs.json"}};
    for (const auto& [name, value] : settings)
        env["PLUGIN_" + name] = value;
    return env;
}

std::string PluginEnd::describe() const
{
    return "exit " + std::to_string(exitCode) + ", signal " + std::to_string(signal) + "\n" + out +
           errors;
}

PluginProcess::PluginProcess(std::vector<std::string> argv, std::map<std::string, std::string> env)
    : _env(std::move(env)), _said(_env.at("WORKSPACE") + ".said")
{
    fs::remove(_env.at("STAGE_OUTPUTS"));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    const int flags = O_WRONLY | O_CREAT | O_TRUNC;
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, (_said.string() + ".out").c_str(), flags, 0600);
    posix_spawn_file_actions_addopen(&actions, 2, (_said.string() + ".err").c_str(), flags, 0600);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);

    std::vector<std::string> variables;
    for (const auto& [name, value] : _env)
        variables.emplace_back(name).append("=").append(value);
    const int error = posix_spawn(&_pid, argv.front().c_str(), &actions, &attributes,
                                  pointers(argv).data(), pointers(variables).data());
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (error != 0)
        throw std::runtime_error("can't start " + argv.front());
}

PluginProcess::~PluginProcess()
{
    if (running())
    {
        kill(true);
        wait();
    }
}

bool PluginProcess::running()
{
    int status = 0;
    if (!_status && waitpid(_pid, &status, WNOHANG) == _pid)
        _status = status;
    return !_status;
}

void PluginProcess::kill(bool group) const
{
    ::kill(group ? -_pid : _pid, SIGKILL);
}

PluginEnd PluginProcess::wait()
{
    int status = 0;
    if (!_status && waitpid(_pid, &status, 0) == _pid)
        _status = status;
    status = _status.value_or(0);
    return {.exitCode = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
            .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
            .out = contentOf(_said.string() + ".out"),
            .errors = contentOf(_said.string() + ".err"),
            .outputs = outputsOf(contentOf(_env.at("STAGE_OUTPUTS")))};
}

std::vector<std::string> hostCommand(const fs::path& library, const PluginFolder& folder)
{
    return {STAGE_AGENT_BIN_DIR "/stage-plugin-host", library, folder.cache()};
}

PluginEnd runHost(const fs::path& library, const PluginFolder& folder,
                  const std::map<std::string, std::string>& settings)
{
    return PluginProcess(hostCommand(library, folder), folder.environment(settings)).wait();
}

std::string contentOf(const fs::path& file)
{
    std::ostringstream content;
    content << std::ifstream(file, std::ios::binary).rdbuf();
    return content.str();
}
