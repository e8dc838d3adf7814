#include "agent/api/TokenFailures.h"

#include <algorithm>

namespace agent
{

bool TokenFailures::failed(const std::string& peer, Clock::time_point now)
{
    {
        const std::lock_guard lock(_mutex);
        ++_counts.failures;
        if (!_peers.contains(peer))
            makeRoom();
        Peer& known = _peers[peer];
        if (now - known.last >= forgotten)
            known.failures = 0;
        if (known.failures >= free && now - known.last < delay)
        {
            ++_counts.delayed;
            return true;
        }
        known.last = now;
        if (++known.failures != free)
            return false;
    }
    if (_log)
        _log(peer + " has sent " + std::to_string(free) +
             " wrong tokens; more of them are answered with 429 for a second each");
    return false;
}

void TokenFailures::makeRoom()
{
    if (_peers.size() < mostPeers)
        return;
    _peers.erase(std::min_element(_peers.begin(), _peers.end(),
                                  [](const auto& one, const auto& other)
                                  { return one.second.last < other.second.last; }));
}

TokenFailures::Counts TokenFailures::counts() const
{
    const std::lock_guard lock(_mutex);
    return _counts;
}

std::size_t TokenFailures::peers() const
{
    const std::lock_guard lock(_mutex);
    return _peers.size();
}

} // namespace agent
