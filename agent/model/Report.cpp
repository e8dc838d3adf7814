#include "agent/model/Report.h"

#include "agent/model/Token.h"

#include <algorithm>

namespace agent
{

bool Subscription::wants(const std::string& event, const std::string& service) const
{
    if (event == reportEvents::stageLog && !logs)
        return false;
    return (events.empty() || std::find(events.begin(), events.end(), event) != events.end()) &&
           (services.empty() || matchesAny(services, service));
}

std::string laneOf(const std::string& runId, std::int64_t seq, const std::string& event)
{
    return event == reportEvents::stageLog ? runId + "/" + std::to_string(seq) : runId;
}

} // namespace agent
