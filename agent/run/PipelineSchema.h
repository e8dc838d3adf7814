#pragma once

#include <string>

namespace agent
{

/// Returns the JSON Schema (draft 7) of a pipeline file in a repository, for editors: made from the tables of PipelineKeys.h, by
/// which the file is read too. It takes whatever the reader takes; what only the reader refuses is told in
/// docs/pipeline-in-repository.md. docs/pipeline.schema.json is this text.
std::string pipelineSchema();

} // namespace agent
