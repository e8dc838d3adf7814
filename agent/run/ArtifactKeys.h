#pragma once

#include "agent/document/DocumentValue.h"
#include "agent/model/PipelineSpec.h"

namespace agent
{

// The keys of a stage that say what of its files is kept, and which are reports: docs/artifacts.md. Used by
// PipelineReader. `stored`: it is our own JSON, and only its shape is checked.

/// `artifacts`: a list of patterns, or a map.
void readArtifacts(const DocumentValue& value, ArtifactSpec& artifacts, bool stored);

/// `reports`.
void readReports(const DocumentValue& value, ReportSpec& reports, bool stored);

} // namespace agent
