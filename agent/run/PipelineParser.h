#pragma once

#include "agent/model/PipelineSpec.h"

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace agent
{

class PluginRegistry;

/// On which line a key path such as `stages[1].with.command` stands.
using KeyLines = std::map<std::string, int>;

struct ParsedPipeline
{
    PipelineSpec spec; ///< right only when there is no problem
    std::vector<Problem> problems;
    KeyLines lines;
};

struct ParsedService
{
    Service service; ///< right only when there is no problem; its id is empty unless given
    std::vector<Problem> problems;
    KeyLines lines;
};

/// Reads a pipeline out of a request: the keys of a service without id, concurrency and secrets. Text
/// that begins with `{` is JSON, all else YAML. `file` is what problems are told of; empty for a
/// request.
/// Errors: every problem is in the result, not only the first; throws nothing.
/// Threads: any, as for all below.
ParsedPipeline parsePipeline(const std::string& text, const std::string& file);

/// Reads a file of services.d/.
ParsedService parseService(const std::filesystem::path& file);

/// Checks each stage against its plugin (see PluginRegistry::check), and that a repository is there
/// where a plugin requires the pipeline's. The problems get `file` and, from `lines`, a line.
std::vector<Problem> checkPlugins(const PipelineSpec& spec, const PluginRegistry& registry,
                                  const std::string& file = {}, const KeyLines& lines = {});

/// Writes a pipeline as it is stored with its run.
std::string toJson(const PipelineSpec& spec);

/// Reads what `toJson` wrote: the same value again. Only the shape is checked, for the rules may have
/// become stricter since it was stored.
/// Errors: std::runtime_error when it is no such JSON.
PipelineSpec pipelineFromJson(const std::string& json);

} // namespace agent
