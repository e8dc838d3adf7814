#pragma once

#include "agent/api/Peer.h"

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace agent
{

/// One connection that may be closed when there are too many.
struct Evictable
{
    enum class Use
    {
        Draining, ///< answered, only its last bytes are awaited
        Idle,     ///< answered, and silent since
        Slow,     ///< its handshake, request or answer has taken longer than an honest one does
        Fresh,    ///< may become an honest request in a moment
    };

    int fd = -1;
    std::string share; ///< shareOf() its peer
    Use use = Use::Idle;
    std::chrono::steady_clock::time_point since;
};

/// An honest handshake or request is whole, and its answer taken, within so much.
constexpr std::chrono::milliseconds freshTime{1000};

/// Returns who shares with whom: a host (an IPv6 network of 64 bits), or a user of the Unix socket.
std::string shareOf(const Peer& peer);

/// Returns the descriptors of `count` connections to close, or of all. Each is taken from who has the most
/// connections at that moment; of those the ones of the lowest use, then the oldest, come first. So a
/// client that hoards connections loses its own, and one that has just come is the last to go.
std::vector<int> chooseEvicted(const std::vector<Evictable>& connections, std::size_t count);

} // namespace agent
