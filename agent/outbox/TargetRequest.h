#pragma once

#include "agent/model/Report.h"
#include "agent/outbox/Reply.h"
#include "agent/outbox/TargetSpec.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace agent
{

/// A POST to a target.
struct TargetRequest
{
    std::string path; ///< with the query; begins with a slash
    std::string contentType;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    std::string
        subject;    ///< what it is the state of, where a newer run's state counts; empty: nothing
    std::string of; ///< when that run was made, as text that sorts
    /// Says what an answer means where its status alone does not; nothing: replyOf() is right.
    std::function<Reply(Reply reply, int status, const std::string& body)> judge = {};
};

/// Returns what is sent to the target for this report, in this order; nothing where the report does not concern it. A log
/// (reportEvents::stageLog) is none of these: LogPush sends it.
/// Errors: std::runtime_error where the report's body is damaged.
std::vector<TargetRequest> requestsFor(const TargetSpec& target, const Report& report);

} // namespace agent
