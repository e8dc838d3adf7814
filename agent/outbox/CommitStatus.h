#pragma once

#include "agent/outbox/TargetRequest.h"

#include <optional>
#include <string>

namespace agent
{

/// Returns whether targets of this type are forges, which show the outcome beside the commit.
bool isForge(const std::string& type);

/// Returns the commit status that a report stands for: that of the run, or of its stage where the target wants one per
/// stage. Nothing where its repository is not the forge's, or its commit is not known yet.
/// Errors: std::runtime_error where the report's body is damaged.
/// Source: https://docs.github.com/en/rest/commits/statuses, https://docs.gitlab.com/api/commits/#set-commit-pipeline-status,
/// https://docs.gitea.com/api/#tag/repository/operation/repoCreateStatus
std::optional<TargetRequest> statusRequest(const TargetSpec& target, const Report& report);

} // namespace agent
