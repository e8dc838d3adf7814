#pragma once

#include "agent/model/PipelineSpec.h"
#include "agent/model/Run.h"
#include "agent/plugin/PluginRegistry.h"
#include "agent/process/Launcher.h"
#include "agent/run/IsolationPolicy.h"
#include "agent/run/SecretFolder.h"
#include "agent/wire/Order.h"

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace agent
{

/// What a stage has from whoever started the agent, unless its service says otherwise.
struct InheritedEnvironment
{
    std::string path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    std::string home = "/";
    std::string lang = "C.UTF-8";

    /// Returns that of this process; what it does not have, or has empty, is the default.
    static InheritedEnvironment ofThisProcess();
};

/// How artifacts and reports of stages are collected.
struct CollectPolicy
{
    std::filesystem::path program; ///< stage-collector; empty: nothing is collected
    std::filesystem::path store;   ///< `<state>/artifacts`
    std::int64_t maxBytes = 0;     ///< of an attempt; 0: no limit
    std::int64_t maxFiles = 0;
    std::int64_t timeoutMs = 0;
};

/// The parts that all orders of this daemon share.
struct OrderDefaults
{
    std::int64_t timeoutMs = 0;
    std::int64_t graceMs = 0;
    std::int64_t logMaxBytes = 0;
    std::filesystem::path pluginHost;        ///< the stage-plugin-host program
    std::filesystem::path cacheProgram = {}; ///< stage-cache
    std::filesystem::path mirrors; ///< git's; in it a folder for each other library plugin
    SecretFolder secrets;
    std::filesystem::path gitConfig; ///< git's, in place of ~/.gitconfig; empty: none
    InheritedEnvironment inherited;  ///< its HOME is that of stages without a sandbox
    unsigned umask = defaultUmask;   ///< of the agent, before it made its own stricter
    IsolationPolicy isolation;
    CollectPolicy collect = {};
};

/// One stage on its way to a shim.
struct OrderContext
{
    const Run& run;
    const Stage& stage; ///< with the number of the new attempt
    const StageSpec& spec;
    const PipelineSpec& pipeline;
    const Plugin& plugin;
    std::map<std::string, std::string> outputs; ///< of the stages before it
    std::filesystem::path workspace;
    std::filesystem::path attemptFolder;
};

/// Returns whether it is the agent's own git plugin, which fetches outside of the sandbox and checks out in it. Another one of
/// this name, or from another place, does not.
bool fetchesOutside(const Plugin& plugin, const OrderDefaults& defaults);

/// Returns the order for the shim: argv, environment, limits.
Order buildOrder(const OrderContext& context, const OrderDefaults& defaults);

/// Reads a plugin's outputs.json: a flat JSON object of strings, at most 64 KiB.
/// Returns an empty map if there is no file, or an empty one: a sandbox begins with that. Errors: std::runtime_error with the reason.
std::map<std::string, std::string> readOutputs(const std::filesystem::path& file);

/// Stores the outputs of a successful attempt in `stage`, with these secrets masked, and the commit in `run` if they
/// are the git plugin's. Message and committer that a client gave to the run stay: only what a git stage wrote is
/// replaced, this one earlier or one of `before`, the outputs of the stages before it.
/// Errors: as readOutputs(); nothing is changed then.
void takeOutputs(Run& run, Stage& stage, const std::map<std::string, std::string>& before,
                 const std::filesystem::path& folder, const std::vector<std::string>& secretNames,
                 const SecretFolder& secrets);

/// Returns the outputs of the stages before `ordinal`; of the same name, the last one.
std::map<std::string, std::string> outputsBefore(int ordinal, const std::vector<Stage>& stages);

/// Converts outputs to and from the record's form: a JSON object; empty text for none.
std::string outputsToJson(const std::map<std::string, std::string>& outputs);
std::map<std::string, std::string> outputsFromJson(const std::string& json);

} // namespace agent
