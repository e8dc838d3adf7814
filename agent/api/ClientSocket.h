#pragma once

#include "agent/api/Transport.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace agent
{

/// The socket of one follower: sends what the kernel takes at once and keeps the rest. While blocked,
/// writable() must be called before other bytes are sent.
/// Threads: the followers'.
class ClientSocket
{
public:
    using Clock = std::chrono::steady_clock;

    explicit ClientSocket(std::unique_ptr<Transport> transport) : _transport(std::move(transport))
    {
    }

    [[nodiscard]] int fd() const { return _transport->fd(); }

    /// As of Transport: then each event may be what a blocked send() waits for.
    [[nodiscard]] bool mixesDirections() const { return _transport->mixesDirections(); }

    /// The client has closed, or broke.
    [[nodiscard]] bool gone() const { return _gone; }

    /// The kernel takes no more; writable() ends it.
    [[nodiscard]] bool blocked() const { return _blocked; }

    /// Sends, after all that was kept. What the kernel does not take is kept.
    void send(std::string_view bytes);

    /// Sends of a file, at most `size` bytes from `offset` on; nothing when some bytes are kept.
    /// Returns how many were sent.
    std::uint64_t sendFile(int file, std::uint64_t offset, std::uint64_t size);

    /// The kernel says that it takes more: sends what was kept.
    void writable();

    /// The client closed its side.
    void close() { _gone = true; }

    /// While blocked: since when the client has not taken a byte.
    Clock::time_point stalledSince();

    /// Says that no more comes, so that the client sees an end and not a reset.
    void finish();

private:
    void block();

    std::unique_ptr<Transport> _transport;
    std::string _kept;
    bool _blocked = false;
    bool _gone = false;
    std::size_t _unread = 0; ///< bytes in the kernel that the client had not taken at _stalledSince
    Clock::time_point _stalledSince;
};

} // namespace agent
