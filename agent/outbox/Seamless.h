#pragma once

#include "agent/outbox/TargetRequest.h"

#include <vector>

namespace agent
{

/// Returns what the seamless orchestrator is told of a change: how the run and all of its stages stand, and where an
/// approval is asked for, that too. In this order; each may be sent again.
/// Errors: std::runtime_error where the report's body is damaged.
/// Source: docs/outbox.md, "The seamless orchestrator"
std::vector<TargetRequest> seamlessRequests(const TargetSpec& target, const Report& report);

/// Returns the request that sends one message of a log; `body`: the JSON.
TargetRequest seamlessLogRequest(const TargetSpec& target, const std::string& body);

} // namespace agent
