#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

/// A stage's surroundings without an agent: workspace, cache and home in a folder that is removed again.
class PluginFolder
{
public:
    PluginFolder();
    ~PluginFolder();
    PluginFolder(const PluginFolder&) = delete;
    PluginFolder& operator=(const PluginFolder&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const { return _path; }
    [[nodiscard]] std::filesystem::path workspace() const { return _path / "workspace"; }
    [[nodiscard]] std::filesystem::path cache() const { return _path / "cache"; }

    /// What a stage's environment holds, with `settings` as PLUGIN_<NAME>.
    [[nodiscard]] std::map<std::string, std::string>
    environment(const std::map<std::string, std::string>& settings) const;

private:
    std::filesystem::path _path;
};

/// How a process ended and all that it said.
struct PluginEnd
{
    int exitCode = -1;
    int signal = 0;
    std::string out;
    std::string errors;
    std::map<std::string, std::string> outputs; ///< of $STAGE_OUTPUTS

    [[nodiscard]] std::string describe() const;
};

/// A process in a process group of its own, killed at the object's end.
class PluginProcess
{
public:
    PluginProcess(std::vector<std::string> argv, std::map<std::string, std::string> env);
    ~PluginProcess();
    PluginProcess(const PluginProcess&) = delete;
    PluginProcess& operator=(const PluginProcess&) = delete;

    [[nodiscard]] bool running();

    /// Kills the process alone, or with all of its group.
    void kill(bool group) const;

    PluginEnd wait();

private:
    std::map<std::string, std::string> _env;
    std::filesystem::path _said;
    pid_t _pid = -1;
    std::optional<int> _status;
};

/// Runs `stage-plugin-host library` in `folder` to its end.
PluginEnd runHost(const std::filesystem::path& library, const PluginFolder& folder,
                  const std::map<std::string, std::string>& settings);

/// The argv of that.
std::vector<std::string> hostCommand(const std::filesystem::path& library,
                                     const PluginFolder& folder);

/// The whole of a file; empty when it isn't there.
std::string contentOf(const std::filesystem::path& file);
