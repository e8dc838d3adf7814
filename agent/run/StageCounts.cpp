#include "agent/run/StageCounts.h"

#include <algorithm>

namespace agent
{

void StageCounts::count(const EndedStage& stage, const std::string& service)
{
    if (_services.size() < mostServices)
        _services.insert(service);
    const Group group(_services.contains(service) ? service : "other", stage.type);
    ++_ends[{group, stage.status, stage.cause}];
    if (!stage.durationMs)
        return;
    Durations& durations = _durations[group];
    const auto* const bound =
        std::find_if(bounds.begin(), bounds.end(),
                     [&](int seconds) { return *stage.durationMs <= seconds * 1000LL; });
    ++durations.buckets.at(static_cast<std::size_t>(bound - bounds.begin()));
    durations.totalMs += static_cast<std::uint64_t>(std::max<std::int64_t>(0, *stage.durationMs));
}

} // namespace agent
