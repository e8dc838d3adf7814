#pragma once

#include "agent/os/FileDescriptor.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace agent
{

/// The socket of one follower: sends what the kernel takes at once and keeps the rest.
/// Threads: the followers'.
class ClientSocket
{
public:
    using Clock = std::chrono::steady_clock;

    /// Takes the connected socket `fd` and makes it non-blocking.
    explicit ClientSocket(int fd);

    [[nodiscard]] int fd() const { return _fd.get(); }

    /// The client has closed, or broke.
    [[nodiscard]] bool gone() const { return _gone; }

    /// The kernel takes no more; writable() ends it.
    [[nodiscard]] bool blocked() const { return _blocked; }

    /// Sends, after all that was kept. What the kernel does not take is kept.
    void send(std::string_view bytes);

    /// Sends of a file, at most `size` bytes from `offset` on; nothing when some bytes are kept.
    /// Shape: how many were sent.
    std::uint64_t sendFile(int file, std::uint64_t offset, std::uint64_t size);

    /// The kernel says that it takes more: sends what was kept.
    void writable();

    /// The client closed its side.
    void close() { _gone = true; }

    /// While blocked: since when the client has not taken a byte.
    Clock::time_point stalledSince();

    /// Says that no more comes, so that the client sees an end and not a reset.
    void finish() const;

private:
    void block();

    FileDescriptor _fd;
    std::string _kept;
    bool _blocked = false;
    bool _gone = false;
    int _unread = 0; ///< bytes in the kernel that the client had not taken at _stalledSince
    Clock::time_point _stalledSince;
};

} // namespace agent
