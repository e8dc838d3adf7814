#pragma once

#include "agent/model/PipelineSpec.h"

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace agent
{

/// A setting as a manifest declares it.
struct SettingSpec
{
    std::string name;
    Setting::Kind kind = Setting::Kind::String;
    bool required = false;
    std::optional<Setting> byDefault;
    std::string
        defaultFrom; ///< "repository" or "ref": taken from the service and the run; else empty
    std::string description;
};

/// A plugin that can be used: a folder with a right manifest.
struct Plugin
{
    enum class Kind
    {
        Program,
        Library,
        External
    };

    std::string name;
    std::string version;
    std::string description;
    std::vector<StageType> types; ///< it suits; empty: all
    std::vector<SettingSpec> settings;
    Kind kind = Kind::Program;
    bool commaLists = false;       ///< lists of scalars are handed over as `a,b`; else all as JSON
    std::vector<std::string> run;  ///< Program: argv as written
    std::filesystem::path library; ///< Library: the .so, absolute
    std::filesystem::path folder;  ///< absolute
    std::string sha256;            ///< of all files in the folder: digestOfFolder()
    std::string identity;          ///< identityOfFolder(), the same before they were read and after

    /// The argv of a program for an environment: an element that is `${NAME}` and nothing else becomes
    /// env's NAME (empty when unset), one that begins with `./` is made absolute below the folder.
    [[nodiscard]] std::vector<std::string>
    argv(const std::map<std::string, std::string>& env) const;

    /// Returns the value of a setting's variable: the scalar as written; a map, and a list unless it is one for commaLists, as
    /// JSON.
    [[nodiscard]] std::string value(const Setting& setting) const;

    /// Whether `run` hands this variable over as an argument, which every user of the host can read.
    [[nodiscard]] bool showsInArgv(const std::string& variable) const;
};

/// Maps plugin names to plugins. Filled at start, replaced as a whole at a reload; read by any thread.
class PluginRegistry
{
public:
    /// Loads each subfolder of `root` with a plugin.yaml. Invalid plugins and duplicate names are reported in
    /// `problems` and skipped.
    void load(const std::filesystem::path& root, std::vector<Problem>& problems);

    /// Takes over what `loaded` has, in one step.
    void replaceBy(const PluginRegistry& loaded);

    using Plugins = std::map<std::string, std::shared_ptr<const Plugin>>;

    /// Returns nullptr when there is none of that name. What is returned stays as it is at a reload.
    [[nodiscard]] std::shared_ptr<const Plugin> find(const std::string& name) const;
    [[nodiscard]] Plugins all() const { return *std::atomic_load(&_plugins); }

    /// Checks a stage against its plugin's manifest: the plugin exists and suits the stage's type, settings are
    /// known and of their type, required ones are given. Returns the problems, whose keys begin with `key`
    /// (`stages[1]`).
    [[nodiscard]] std::vector<Problem> check(const StageSpec& stage, const std::string& key) const;

    /// Returns `PLUGIN_<NAME>` for a setting: upper case, `_` for anything but letters and digits.
    static std::string variable(const std::string& setting);

    /// Returns whether a setting declared as `declared` may be given as `given`: text may be any scalar, other
    /// types are strict.
    static bool suits(Setting::Kind declared, Setting::Kind given);
    static std::string_view describe(Setting::Kind kind);

    /// Returns why no code may be loaded from `path`; empty if it may: it can't be read, is a link to outside
    /// of `within`, or is writable by users other than root and the agent's.
    static std::string placeProblem(const std::filesystem::path& path,
                                    const std::filesystem::path& within);

private:
    std::shared_ptr<const Plugins> _plugins = std::make_shared<const Plugins>();
};

} // namespace agent
