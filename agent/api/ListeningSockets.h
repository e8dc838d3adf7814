#pragma once

#include "agent/api/Listener.h"
#include "agent/api/UnixSocket.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace agent
{

struct ListenOptions
{
    std::string address = "127.0.0.1";
    std::uint16_t port = 7824;               ///< 0: the kernel picks one
    std::filesystem::path socket = {};       ///< the Unix socket; empty: none
    std::optional<gid_t> group = {};         ///< which may open it; none: the agent's own
    bool tls = false;                        ///< on TCP
    std::vector<FileDescriptor> passed = {}; ///< listening already, from a systemd .socket unit
    std::vector<FileDescriptor> kept = {}; ///< the same from the daemon before (process/PortKeeper)
    std::function<void(const std::string&)> warn = [](const std::string&) {};
};

/// A passed socket and the configuration disagree: its message says both.
class ListenMismatch: public std::runtime_error
{
public:
    using std::runtime_error::runtime_error;
};

/// All sockets on which the agent listens.
///
/// With 127.0.0.1, ::1, localhost or 0.0.0.0 the loopback addresses of both families have the same port, so
/// that no other program can stand behind a name that Guard believes; where the host has no IPv6, only
/// 127.0.0.1. A passed socket takes the place of the one that would be bound, and must be one of those. So does a
/// kept one, with port 0 on its own port; one that is none of those is closed, and so that its address is free,
/// whoever else has it open: before the others are bound where it has their port, else when all of them are.
/// Threads: the owner's.
class ListeningSockets
{
public:
    /// Errors: ListenMismatch; std::runtime_error that names the address, and what to do.
    explicit ListeningSockets(ListenOptions options);

    /// Gives the sockets away; once. The Unix socket's file stays until the end of the object.
    std::vector<Listener> take() { return std::move(_listeners); }

    /// Returns the TCP sockets that are not systemd's, which a keeper has to hold. Call it before take().
    [[nodiscard]] const std::vector<int>& ownTcp() const { return _ownTcp; }

    /// The TCP port in use.
    [[nodiscard]] std::uint16_t port() const { return _port; }

    /// `127.0.0.1:7824`, with the port in use.
    [[nodiscard]] const std::string& authority() const { return _authority; }

    /// Whether the loopback address of IPv6 is one of them.
    [[nodiscard]] bool loopback6() const { return _loopback6; }

private:
    void add(FileDescriptor socket, Peer::Door door);
    void takePassed();
    void takeKept();
    void openTcp();
    bool openBoth(std::uint16_t port);
    void openUnix();
    [[nodiscard]] FileDescriptor open(const std::string& host, std::uint16_t port);
    [[noreturn]] void fail(const std::string& why) const;

    ListenOptions _options;
    std::vector<std::string> _hosts; ///< numeric, the first is the configured one
    std::vector<std::pair<std::string, FileDescriptor>> _passedTcp; ///< by host
    std::vector<std::pair<std::string, FileDescriptor>> _kept;      ///< by host and port
    std::vector<FileDescriptor> _unwanted; ///< kept ones of other addresses
    std::uint16_t _keptPort = 0;           ///< with port 0: that of the last daemon; 0: none
    std::vector<int> _ownTcp;
    FileDescriptor _passedUnix;
    std::vector<Listener> _listeners;
    std::unique_ptr<UnixSocket> _unix;
    std::uint16_t _port = 0;
    std::string _authority;
    bool _loopback6 = false;
};

} // namespace agent
