#pragma once

#include "agent/document/DocumentValue.h"

// The keys of a service that say who gets which secret: docs/secrets.md. Used by PipelineReader.cpp and Pipeline.cpp;
// `checked`: the rules apply, as to all but our own JSON.
namespace agent::secretKeys
{

/// Reads `secrets`, `grants` and `git`. To be called when repository and env are known.
void read(const DocumentMap& map, bool checked, PipelineSpec& spec);

/// Reads `secrets` of a stage whose type is known. To be called after read().
void readOfStage(const DocumentValue& value, bool checked, const PipelineSpec& spec,
                 StageSpec& stage);

/// Under these keys a stored pipeline has what a pull request may not.
inline constexpr const char* secretless = "x-secretless";
inline constexpr const char* fork = "x-fork";

/// Reads them. Of stored pipelines only: elsewhere they mean nothing.
void readPullRequest(const DocumentMap& map, PipelineSpec& spec);

} // namespace agent::secretKeys
