#pragma once

#include "agent/os/FileDescriptor.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace agent
{

/// The bytes of one connected, non-blocking stream socket: the only place of the HTTP side that reads
/// from and writes to a client's socket.
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

    enum class Handshake
    {
        Done,
        Waits, ///< for the client
        Plain, ///< the client does not encrypt
        Failed,
    };

    /// Takes the connected socket and makes it non-blocking.
    explicit Transport(FileDescriptor socket);
    virtual ~Transport() = default;
    Transport(const Transport&) = delete;
    Transport& operator=(const Transport&) = delete;

    [[nodiscard]] int fd() const { return _socket.get(); }

    /// Before the first byte is read: goes on with the handshake.
    virtual Handshake handshake() { return Handshake::Done; }

    /// Says whether reading may wait until the kernel takes bytes, and writing until it has some.
    [[nodiscard]] virtual bool mixesDirections() const { return false; }

    /// Not blocked, though fewer bytes came than asked for: there may be more.
    virtual Moved receive(char* buffer, std::size_t size) = 0;

    /// Sends both parts, with one system call where possible.
    virtual Moved send(std::string_view first, std::string_view second) = 0;
    Moved send(std::string_view bytes) { return send(bytes, {}); }

    /// Sends part of a file. Neither bytes nor blocked nor ended: the file is shorter than that.
    virtual Moved sendFile(int file, std::int64_t offset, std::size_t size) = 0;

    /// Returns how many sent bytes the client's kernel has not acknowledged yet.
    [[nodiscard]] std::size_t unacknowledged() const;

    /// Says whether bytes have arrived that will not be read: then a close would be a reset.
    [[nodiscard]] virtual bool hasUnread() const;

    /// No more is sent: the client sees an end, not a reset, and that nothing was cut off.
    virtual void finish();

    /// Gives the socket away.
    FileDescriptor release() { return std::move(_socket); }

private:
    FileDescriptor _socket;
};

/// A connection whose bytes are sent as they are. Files go from the kernel's cache to the socket.
class PlainTransport final: public Transport
{
public:
    using Transport::send;
    using Transport::Transport;

    Moved receive(char* buffer, std::size_t size) override;
    Moved send(std::string_view first, std::string_view second) override;
    Moved sendFile(int file, std::int64_t offset, std::size_t size) override;
};

} // namespace agent
