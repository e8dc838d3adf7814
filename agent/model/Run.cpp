#include "agent/model/Run.h"

#include <algorithm>
#include <cstdlib>

namespace agent
{

void Run::begin(TimeMs now, const BootTime& clock)
{
    startedAt = now;
    beganBootId = clock.bootId;
    beganBootMs = clock.ms;
}

TimeMs Run::endOf(TimeMs now, const BootTime& clock) const
{
    const TimeMs started = startedAt.value_or(0);
    if (!startedAt || beganBootId.empty() || beganBootId != clock.bootId)
        return std::max(now, started);
    const TimeMs end = started + std::max<std::int64_t>(0, clock.ms - beganBootMs);
    // Both are cut to milliseconds: where nothing was set, a run ends no millisecond before its last stage.
    constexpr std::int64_t rounding = 10;
    return std::max(started, std::abs(end - now) <= rounding ? now : end);
}

std::string_view toString(TriggerType type)
{
    switch (type)
    {
    case TriggerType::Main:
        return "MAIN";
    case TriggerType::PrOpen:
        return "PR_OPEN";
    case TriggerType::PrSync:
        return "PR_SYNC";
    case TriggerType::Manual:
        return "MANUAL";
    }
    return "";
}

std::optional<TriggerType> triggerTypeFrom(std::string_view text)
{
    for (const auto type :
         {TriggerType::Main, TriggerType::PrOpen, TriggerType::PrSync, TriggerType::Manual})
        if (toString(type) == text)
            return type;
    return std::nullopt;
}

} // namespace agent
