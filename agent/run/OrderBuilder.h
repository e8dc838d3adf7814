#pragma once

#include "agent/model/PipelineSpec.h"
#include "agent/model/Run.h"
#include "agent/plugin/PluginRegistry.h"
#include "agent/process/Launcher.h"
#include "agent/wire/Order.h"

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace agent
{

/// The PATH of a stage whose service gives none.
inline constexpr const char* standardPath =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What every order of this daemon shares.
struct OrderDefaults
{
    std::int64_t timeoutMs = 0;
    std::int64_t graceMs = 0;
    std::int64_t logMaxBytes = 0;
    std::filesystem::path pluginHost; ///< the stage-plugin-host program
    std::filesystem::path mirrors;    ///< the cache folder that library plugins get
    std::filesystem::path secretsDir;
    std::string home; ///< HOME of the stages
};

/// One stage on its way to a shim.
struct OrderContext
{
    const Run& run;
    const Stage& stage; ///< attempt counts the one to come
    const StageSpec& spec;
    const PipelineSpec& pipeline;
    const Plugin& plugin;
    std::map<std::string, std::string> outputs; ///< of the stages before it
    std::filesystem::path workspace;
    std::filesystem::path attemptFolder;
};

/// Says what the shim is to do: argv, the whole environment, limits of time and size.
Order buildOrder(const OrderContext& context, const OrderDefaults& defaults);

/// Reads the pipeline's secrets anew, one trailing newline stripped.
/// Errors: std::runtime_error that names the secret and what is wrong with it.
Secrets readSecrets(const std::vector<std::string>& names, const std::filesystem::path& folder);

/// `text` without the secrets of these names, as a log shows it. One that can't be read is left out.
std::string masked(const std::string& text, const std::vector<std::string>& secretNames,
                   const std::filesystem::path& folder);

/// Reads a plugin's outputs.json: a flat JSON object of strings, at most 64 KiB.
/// Shape: empty when there is no file. Errors: std::runtime_error that says what is wrong.
std::map<std::string, std::string> readOutputs(const std::filesystem::path& file);

/// Gives `stage`, whose attempt in `folder` ended well, what that wrote for later stages, without the
/// secrets of these names; and `run` the commit, where the git plugin tells it.
/// Errors: as readOutputs(); nothing has changed then.
void takeOutputs(Run& run, Stage& stage, const std::filesystem::path& folder,
                 const std::vector<std::string>& secretNames,
                 const std::filesystem::path& secretsDir);

/// What the stages before number `ordinal` gave: of two of one name the later one's.
std::map<std::string, std::string> outputsBefore(int ordinal, const std::vector<Stage>& stages);

/// Outputs as the record keeps them: a JSON object; empty text for none.
std::string outputsToJson(const std::map<std::string, std::string>& outputs);
std::map<std::string, std::string> outputsFromJson(const std::string& json);

} // namespace agent
