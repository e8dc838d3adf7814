#include "agent/api/StageListCache.h"

namespace agent
{

StageListCache::Bytes StageListCache::get(const std::string& runId, std::uint64_t& epoch)
{
    const std::lock_guard lock(_mutex);
    epoch = _epoch;
    const auto found = _entries.find(runId);
    return found == _entries.end() ? nullptr : found->second;
}

void StageListCache::put(const std::string& runId, Bytes bytes, std::uint64_t epoch)
{
    const std::lock_guard lock(_mutex);
    if (epoch != _epoch || !_entries.emplace(runId, std::move(bytes)).second)
        return;
    _order.push_back(runId);
    if (_order.size() > capacity)
    {
        _entries.erase(_order.front());
        _order.pop_front();
    }
}

void StageListCache::drop(const std::string& runId)
{
    const std::lock_guard lock(_mutex);
    ++_epoch;
    if (_entries.erase(runId) > 0)
        _order.remove(runId);
}

} // namespace agent
