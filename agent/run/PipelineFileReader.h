#pragma once

#include "agent/document/DocumentValue.h"

// The keys that are about a pipeline in the repository (docs/pipeline-in-repository.md). Used by PipelineReader and
// Pipeline.
namespace agent
{

/// The key under which a stored pipeline has its `file`.
inline constexpr const char* storedFileKey = "file";

/// Reads `pipeline` and `allow` of a service. Returns whether its stages are in the repository.
bool readFileKeys(const DocumentMap& map, PipelineSpec& spec);

/// Checks the stages of such a service: none, or the one that fetches the repository. Adds that one.
void checkCheckout(const DocumentMap& map, PipelineSpec& spec);

/// Reports the keys of a service in a file of a repository.
void refuseServiceKeys(const DocumentMap& map);

/// Reads what Pipeline writes.
void readStoredFile(const DocumentValue& value, PipelineSpec& spec);

} // namespace agent
