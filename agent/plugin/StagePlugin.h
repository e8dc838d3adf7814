#pragma once

#include <Poco/ClassLibrary.h>

#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <utility>

#if defined(_GLIBCXX_USE_CXX11_ABI) && !_GLIBCXX_USE_CXX11_ABI
#error "stage-plugin-host is built with the C++11 ABI of the standard library; so must a plugin be"
#endif

// The contract of a stage plugin in C++, complete in this file: a plugin needs it and Poco Foundation.
// The version is part of the namespace, so a library built against another one can't be taken for a
// plugin of this one even where the number below were read wrongly.
namespace agent::v1
{

/// Incremented with every incompatible change of this file.
constexpr int abi = 1;

/// The result of a stage, as returned by its plugin.
class Result
{
public:
    static Result passed() { return Result(true, ""); }

    /// A failure of the user's work. `message` is one line for the log.
    static Result failed(std::string message) { return Result(false, std::move(message)); }

    [[nodiscard]] bool succeeded() const { return _succeeded; }
    [[nodiscard]] const std::string& message() const { return _message; }

private:
    Result(bool succeeded, std::string message)
        : _succeeded(succeeded), _message(std::move(message))
    {
    }

    bool _succeeded;
    std::string _message;
};

/// A plugin's access to its stage.
struct StageContext
{
    std::filesystem::path workspace; ///< the run's folder, absolute; exists
    std::filesystem::path
        cache; ///< of the plugin; outlives runs and is shared by concurrent stages

    /// The plugin's outputs, passed to later stages as `OUTPUT_<NAME>`. Values are UTF-8.
    std::map<std::string, std::string>& outputs;

    /// Returns a setting as text: a scalar as written, a list or map as JSON; empty if neither given nor
    /// defaulted.
    [[nodiscard]] static std::string setting(const std::string& name)
    {
        std::string variableName = "PLUGIN_";
        for (const char c : name)
        {
            const auto byte = static_cast<unsigned char>(c);
            variableName += std::isalnum(byte) ? static_cast<char>(std::toupper(byte)) : '_';
        }
        return variable(variableName);
    }

    /// Whether a boolean setting is `true`.
    [[nodiscard]] static bool enabled(const std::string& name) { return setting(name) == "true"; }

    /// STAGE_ID, STAGE_TYPE, STAGE_ATTEMPT, RUN_ID, SERVICE_NAME, COMMIT_HASH, BRANCH, an earlier
    /// stage's OUTPUT_<NAME>, or a variable or secret of the service. Empty when unset.
    [[nodiscard]] static std::string variable(const std::string& name)
    {
        const char* value = std::getenv(name.c_str());
        return value ? value : "";
    }
};

/// A stage plugin. The library holds exactly one such class with a default constructor, named by
/// STAGE_AGENT_PLUGIN at global scope in one of its sources.
///
/// It runs in a process of its own, one object a stage: what it writes to stdout and stderr is the
/// stage's log; when the stage is to end, the process gets SIGTERM and, after the grace time, SIGKILL.
class StagePlugin
{
public:
    virtual ~StagePlugin() = default;

    /// Does the stage's work. Called once.
    /// Errors: an exception or a crash ends the stage with cause PLUGIN_ERROR; what is the user's to put
    /// right is Result::failed.
    virtual Result run(const StageContext& context) = 0;

protected:
    StagePlugin() = default;
    StagePlugin(const StagePlugin&) = default;
    StagePlugin& operator=(const StagePlugin&) = default;
};

} // namespace agent::v1

/// Exports `Class` as the library's plugin.
#define STAGE_AGENT_PLUGIN(Class)                                                                  \
    extern "C" __attribute__((visibility("default"))) int stage_agent_plugin_abi()                 \
    {                                                                                              \
        return agent::v1::abi;                                                                     \
    }                                                                                              \
    POCO_BEGIN_MANIFEST(agent::v1::StagePlugin)                                                    \
    POCO_EXPORT_CLASS(Class)                                                                       \
    POCO_END_MANIFEST
