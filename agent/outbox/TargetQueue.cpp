#include "agent/outbox/TargetQueue.h"

#include <algorithm>

namespace agent
{

namespace
{

/// Logs take turns behind the reports: many stages that write must not hold up how their runs stand.
constexpr std::int64_t behindAllReports = std::int64_t{1} << 62;

} // namespace

void TargetQueue::add(Entry entry)
{
    const std::string name = entry.lane;
    Lane& lane = _lanes[name];
    lane.entries.push_back(std::move(entry));
    ++_size;
    if (lane.entries.size() == 1)
        schedule(name, lane);
}

void TargetQueue::schedule(const std::string& name, Lane& lane)
{
    const Entry& first = lane.entries.front();
    const bool log = first.lane != first.runId;
    lane.turn = log ? behindAllReports + ++_logTurns : first.seq;
    if (lane.at == 0)
        _due.emplace(lane.turn, name);
    else
        _waiting.emplace(lane.at, name);
}

void TargetQueue::unschedule(const std::string& name, const Lane& lane)
{
    _due.erase({lane.turn, name});
    _waiting.erase({lane.at, name});
}

std::optional<TargetQueue::Entry> TargetQueue::due(std::int64_t now)
{
    while (!_waiting.empty() && _waiting.begin()->first <= now)
    {
        const std::string name = _waiting.begin()->second;
        Lane& lane = _lanes.at(name);
        _waiting.erase(_waiting.begin());
        lane.at = 0;
        schedule(name, lane);
    }
    if (const auto asked = _lanes.find(_asked); asked != _lanes.end())
        return asked->second.entries.front();
    if (_due.empty() || now < _pausedUntil)
        return std::nullopt;
    return _lanes.at(_due.begin()->second).entries.front();
}

std::optional<std::int64_t> TargetQueue::nextAt() const
{
    if (_size == 0)
        return std::nullopt;
    if (!_asked.empty())
        return 0;
    return std::max(_due.empty() ? _waiting.begin()->first : 0, _pausedUntil);
}

void TargetQueue::done(const Entry& entry, bool confirmed)
{
    if (confirmed)
        _asked.clear(); // else it was dropped or refused, and the next of its run is meant
    const auto found = _lanes.find(entry.lane);
    if (found == _lanes.end() || found->second.entries.front().seq != entry.seq)
        return; // taken out meanwhile
    Lane& lane = found->second;
    unschedule(entry.lane, lane);
    lane.entries.pop_front();
    --_size;
    recover(lane);
    if (lane.entries.empty())
    {
        _lanes.erase(found);
        if (_asked == entry.lane)
            _asked.clear();
    }
    else
        schedule(entry.lane, lane);
    if (confirmed)
        gotThrough();
}

void TargetQueue::later(const Entry& entry, std::int64_t at, bool confirmed)
{
    if (_asked == entry.lane)
        _asked.clear();
    const auto found = _lanes.find(entry.lane);
    if (found != _lanes.end() && found->second.entries.front().seq == entry.seq)
    {
        unschedule(entry.lane, found->second);
        recover(found->second);
        found->second.at = at;
        schedule(entry.lane, found->second);
    }
    if (confirmed)
        gotThrough();
}

void TargetQueue::gotThrough()
{
    if (down())
        forgive();
    _failuresInRow = 0;
    _pausedUntil = 0;
}

void TargetQueue::recover(Lane& lane)
{
    _failing -= lane.failures > 0 ? 1 : 0;
    lane.failures = 0;
    lane.at = 0;
}

/// What failed while the target was down did not fail for itself.
void TargetQueue::forgive()
{
    for (const auto& [at, name] : std::exchange(_waiting, {}))
    {
        Lane& lane = _lanes.at(name);
        recover(lane);
        schedule(name, lane);
    }
}

std::int64_t TargetQueue::pause(int failures)
{
    const int doublings = std::min(failures - 1, 10); // 2^10 s are more than the longest pause
    const std::int64_t full = std::min(firstPauseMs << doublings, longestPauseMs);
    return std::min(full + std::uniform_int_distribution<std::int64_t>(0, full / 2)(_random),
                    longestPauseMs);
}

void TargetQueue::failed(const Entry& entry, std::int64_t now, std::optional<std::int64_t> waitMs)
{
    _asked.clear();
    ++_failuresInRow;
    if (down())
        _pausedUntil = now + pause(_failuresInRow - failuresUntilDown + 1);
    if (waitMs)
        _pausedUntil = std::max(_pausedUntil, now + *waitMs);
    const auto found = _lanes.find(entry.lane);
    if (found == _lanes.end() || found->second.entries.front().seq != entry.seq)
        return;
    Lane& lane = found->second;
    unschedule(entry.lane, lane);
    _failing += lane.failures == 0 ? 1 : 0;
    lane.at = now + pause(++lane.failures);
    schedule(entry.lane, lane);
}

void TargetQueue::retry(const std::string& name)
{
    if (_lanes.contains(name))
        _asked = name;
}

std::vector<TargetQueue::Entry> TargetQueue::take(const std::function<bool(const Entry&)>& wanted)
{
    std::vector<Entry> taken;
    for (auto lane = _lanes.begin(); lane != _lanes.end();)
    {
        auto& [name, one] = *lane;
        if (std::none_of(one.entries.begin(), one.entries.end(), wanted))
        {
            ++lane;
            continue;
        }
        unschedule(name, one);
        const auto kept = std::stable_partition(one.entries.begin(), one.entries.end(), wanted);
        taken.insert(taken.end(), one.entries.begin(), kept);
        one.entries.erase(one.entries.begin(), kept);
        recover(one);
        if (one.entries.empty())
            lane = _lanes.erase(lane);
        else
        {
            schedule(name, one);
            ++lane;
        }
    }
    _size -= taken.size();
    if (!_lanes.contains(_asked))
        _asked.clear();
    return taken;
}

std::optional<TargetQueue::Standing> TargetQueue::standing(const std::string& name,
                                                           std::int64_t seq) const
{
    const auto found = _lanes.find(name);
    if (found == _lanes.end() || found->second.entries.front().seq != seq)
        return std::nullopt;
    return Standing{found->second.failures, std::max(found->second.at, _pausedUntil)};
}

} // namespace agent
