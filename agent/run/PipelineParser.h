#pragma once

#include "agent/document/Document.h"

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
};

struct ParsedService
{
    Service service; ///< right only when there is no problem; its id is empty unless given
    std::vector<Problem> problems;
    KeyLines lines;
};

/// Reads a pipeline of a request: the keys of a service without secrets; id, name and concurrency are
/// checked and have no effect. `root` and `problems` are what a reader of documents returned.
/// Errors: every problem is in the result after those given, not only the first; throws nothing.
/// Threads: any, as for all below.
ParsedPipeline parsePipeline(const std::optional<DocumentNode>& root,
                             std::vector<Problem> problems);

/// Reads a file of services.d/.
ParsedService parseService(const std::filesystem::path& file);

/// Checks each stage against its plugin (see PluginRegistry::check), and that a repository is there
/// where a plugin requires the pipeline's. The problems get `file` and, from `lines`, a line.
std::vector<Problem> checkPlugins(const PipelineSpec& spec, const PluginRegistry& registry,
                                  const std::string& file = {}, const KeyLines& lines = {});

} // namespace agent
