#include "agent/api/Eviction.h"

#include <algorithm>
#include <queue>
#include <tuple>
#include <unordered_map>

#include <arpa/inet.h>
#include <netinet/in.h>

namespace agent
{

namespace
{

/// The connections of one share, the next to close at `next`.
struct Share
{
    std::vector<const Evictable*> all;
    std::size_t next = 0;

    [[nodiscard]] std::size_t left() const { return all.size() - next; }
};

} // namespace

std::string shareOf(const Peer& peer)
{
    if (peer.door == Peer::Door::Unix)
        return "uid " + std::to_string(peer.uid);
    in6_addr address{};
    // A host has a whole network of 64 bits at its disposal.
    if (::inet_pton(AF_INET6, peer.address.c_str(), &address) == 1)
        return {reinterpret_cast<const char*>(&address), 8};
    return peer.address;
}

std::vector<int> chooseEvicted(const std::vector<Evictable>& connections, std::size_t count)
{
    std::unordered_map<std::string, Share> shares;
    for (const Evictable& each : connections)
        shares[each.share].all.push_back(&each);
    const auto smaller = [](const Share* one, const Share* other)
    { return one->left() < other->left(); };
    std::priority_queue<Share*, std::vector<Share*>, decltype(smaller)> largest(smaller);
    for (auto& [name, share] : shares)
    {
        const auto end =
            share.all.begin() + static_cast<std::ptrdiff_t>(std::min(count, share.all.size()));
        std::partial_sort(
            share.all.begin(), end, share.all.end(),
            [](const Evictable* one, const Evictable* other)
            { return std::tie(one->use, one->since) < std::tie(other->use, other->since); });
        largest.push(&share);
    }
    std::vector<int> chosen;
    while (chosen.size() < count && !largest.empty())
    {
        Share* const share = largest.top();
        largest.pop();
        chosen.push_back(share->all[share->next++]->fd);
        if (share->left() > 0)
            largest.push(share);
    }
    return chosen;
}

} // namespace agent
