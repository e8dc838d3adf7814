#pragma once

#include "agent/document/DocumentValue.h"
#include "agent/model/PipelineSpec.h"

#include <string>
#include <vector>

namespace agent
{

// The keys of a stage that say in which runs it runs, and who approves it: docs/conditions.md. Used by PipelineReader.

/// `when`. `stored`: it is our own JSON, and only its shape is checked.
void readWhen(const DocumentValue& value, WhenSpec& when, bool stored);

/// `approval`.
void readApproval(const DocumentValue& value, ApprovalSpec& approval);

/// What of a stage can't be combined; empty when all can. What is executed after a failure waits for nobody.
std::string togetherProblem(const StageSpec& stage);

/// A list of patterns such as `release/*`.
std::vector<std::string> patternsOf(const DocumentValue& list);

} // namespace agent
