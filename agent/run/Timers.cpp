#include "agent/run/Timers.h"

#include <algorithm>

namespace agent
{

void Timers::set(const Timer& timer, std::int64_t delayMs)
{
    const Key key{timer.stageId, timer.kind};
    if (const auto found = _timers.find(key); found != _timers.end())
        _byTime.erase({found->second.at, key});
    const auto at = Clock::now() + std::chrono::milliseconds(delayMs);
    _timers[key] = {at, timer.attempt};
    _byTime.emplace(at, key);
}

void Timers::cancel(const std::string& stageId)
{
    auto timer = _timers.lower_bound({stageId, TimerKind{}});
    while (timer != _timers.end() && timer->first.first == stageId)
    {
        _byTime.erase({timer->second.at, timer->first});
        timer = _timers.erase(timer);
    }
}

bool Timers::pending(TimerKind kind, const std::string& stageId) const
{
    return _timers.contains({stageId, kind});
}

std::optional<std::int64_t> Timers::untilNext() const
{
    if (_byTime.empty())
        return std::nullopt;
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(_byTime.begin()->first - Clock::now());
    return std::max<std::int64_t>(0, left.count());
}

std::vector<Timer> Timers::takeDue()
{
    std::vector<Timer> due;
    const auto now = Clock::now();
    while (!_byTime.empty() && _byTime.begin()->first <= now)
    {
        const auto timer = _timers.find(_byTime.begin()->second);
        due.push_back({.kind = timer->first.second,
                       .stageId = timer->first.first,
                       .attempt = timer->second.attempt});
        _timers.erase(timer);
        _byTime.erase(_byTime.begin());
    }
    return due;
}

} // namespace agent
