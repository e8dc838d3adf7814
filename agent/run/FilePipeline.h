#pragma once

#include "agent/run/PipelineParser.h"

#include <cstdint>
#include <string>
#include <vector>

namespace agent
{

/// Returns what a run executes whose stages stand in a file of its repository: those that it was submitted with and then
/// those of the file, without `file`; or what is wrong with the file. `submitted` has a file; `text` is its content,
/// `defaultTimeoutMs` what the configuration says of stages, 0: none.
/// What a file may have: docs/pipeline-in-repository.md.
/// Threads: any.
ParsedPipeline filePipeline(const PipelineSpec& submitted, const std::string& text,
                            const PluginRegistry& plugins, std::int64_t defaultTimeoutMs);

/// Returns the problems as one line of at most some hundred characters each, and how many more there are.
std::string summaryOf(const std::vector<Problem>& problems);

} // namespace agent
