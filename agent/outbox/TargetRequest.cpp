#include "agent/outbox/TargetRequest.h"

#include "agent/outbox/CommitStatus.h"
#include "agent/outbox/Seamless.h"
#include "agent/outbox/Webhook.h"

namespace agent
{

std::vector<TargetRequest> requestsFor(const TargetSpec& target, const Report& report)
{
    if (target.type == "seamless")
        return seamlessRequests(target, report);
    if (!isForge(target.type))
        return {webhookRequest(target, report)};
    const auto status = statusRequest(target, report);
    return status ? std::vector<TargetRequest>{*status} : std::vector<TargetRequest>{};
}

} // namespace agent
