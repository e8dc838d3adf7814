#pragma once

#include "agent/os/FileDescriptor.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace agent
{

/// The bytes of one connected, non-blocking stream socket: the only place of the HTTP side that reads
/// from and writes to a client's socket, so that an encrypted one can take its place.
/// Threads: one at a time.
class Transport
{
public:
    /// What one call did: how many bytes were moved, and why not more.
    struct Moved
    {
        std::size_t bytes = 0;
        bool blocked = false; ///< the kernel has, or takes, no more now
        bool ended = false;   ///< the client closed its side (reading) or the connection broke
    };

    /// Takes the connected socket and makes it non-blocking.
    explicit Transport(FileDescriptor socket);

    [[nodiscard]] int fd() const { return _socket.get(); }

    Moved receive(char* buffer, std::size_t size);

    /// Sends both parts with one system call.
    Moved send(std::string_view first, std::string_view second = {});

    /// Sends part of a file without reading it into memory. Neither bytes nor blocked nor ended: the
    /// file is shorter than that.
    Moved sendFile(int file, std::int64_t offset, std::size_t size);

    /// Returns how many sent bytes the client's kernel has not acknowledged yet.
    [[nodiscard]] std::size_t unacknowledged() const;

    /// Says whether bytes have arrived that will not be read: then a close would be a reset.
    [[nodiscard]] bool hasUnread() const;

    /// No more is sent: the client sees an end and not a reset.
    void finish() const;

private:
    FileDescriptor _socket;
};

} // namespace agent
