#pragma once

#include "agent/document/Document.h"

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace agent
{

class PluginRegistry;

/// Where a key path such as `stages[1].with.command` stands.
using KeyPlaces = std::map<std::string, Place>;

struct ParsedPipeline
{
    PipelineSpec spec; ///< right only when there is no problem
    std::vector<Problem> problems;
    KeyPlaces places = {};
};

struct ParsedService
{
    Service service; ///< right only when there is no problem; its id is empty unless given
    std::vector<Problem> problems;
    KeyPlaces places;

    /// Returns 0 when the file does not have the key.
    [[nodiscard]] int lineOf(const std::string& key) const
    {
        const auto found = places.find(key);
        return found == places.end() ? 0 : found->second.line;
    }
};

/// Reads a pipeline of a request: the keys of a service without secrets; id, name and concurrency are
/// checked and have no effect. `root` and `problems` are what a reader of documents returned.
/// Errors: every problem is in the result after those given, not only the first; throws nothing.
/// Threads: any, as for all below.
ParsedPipeline parsePipeline(const std::optional<DocumentNode>& root,
                             std::vector<Problem> problems);

/// Reads the text of a pipeline file of a repository: its variables and stages. Its problems have `file`, line and column.
ParsedPipeline parsePipelineFile(const std::string& text, const std::string& file);

/// Reads a file of services.d/.
ParsedService parseService(const std::filesystem::path& file);

/// Checks each stage against its plugin (see PluginRegistry::check), and that a repository is there
/// where a plugin requires the pipeline's. The problems get `file` and, from `places`, a place.
std::vector<Problem> checkPlugins(const PipelineSpec& spec, const PluginRegistry& registry,
                                  const std::string& file = {}, const KeyPlaces& places = {});

/// Gives a problem the place of its key, or of the nearest thing around it that the document has.
void findPlace(Problem& problem, const KeyPlaces& places);

} // namespace agent
