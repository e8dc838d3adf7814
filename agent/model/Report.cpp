#include "agent/model/Report.h"

#include "agent/model/Token.h"

#include <algorithm>

namespace agent
{

bool Subscription::wants(const std::string& event, const std::string& service) const
{
    return (events.empty() || std::find(events.begin(), events.end(), event) != events.end()) &&
           (services.empty() || matchesAny(services, service));
}

} // namespace agent
