#include "agent/api/ListeningSockets.h"

#include <Poco/Exception.h>
#include <Poco/Net/SocketAddress.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <system_error>

namespace agent
{

namespace
{

using Poco::Net::SocketAddress;

constexpr const char* v4Loopback = "127.0.0.1";
constexpr const char* v6Loopback = "::1";

// With port 0 the kernel picks a port for one family, which the other may lack.
constexpr int mostPicks = 32;

/// Not with Poco's socket: its descriptor would be inherited by a shim that starts at the same moment.
/// Not with SO_REUSEPORT, by which a second agent would silently get half of the requests.
/// Errors: an invalid descriptor, and errno.
FileDescriptor listenOn(const SocketAddress& address)
{
    FileDescriptor socket(::socket(address.af(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int on = 1;
    // The address `::` serves both families, whatever net.ipv6.bindv6only says; others only their own.
    const int only6 = address.host().isWildcard() ? 0 : 1;
    if (!socket.valid() ||
        ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        (address.af() == AF_INET6 &&
         ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only6, sizeof only6) != 0) ||
        ::bind(socket.get(), address.addr(), address.length()) != 0 ||
        ::listen(socket.get(), SOMAXCONN) != 0)
        return {};
    return socket;
}

/// The address of a socket, as getsockname() tells it.
struct Named
{
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;

    explicit Named(const FileDescriptor& socket)
    {
        ::getsockname(socket.get(), generic(), &length);
    }
    sockaddr* generic() { return reinterpret_cast<sockaddr*>(&storage); }
    [[nodiscard]] bool isTcp() const
    {
        return storage.ss_family == AF_INET || storage.ss_family == AF_INET6;
    }
    [[nodiscard]] std::string path() const
    {
        const auto* const address = reinterpret_cast<const sockaddr_un*>(&storage);
        const std::size_t size = length - offsetof(sockaddr_un, sun_path);
        return length <= offsetof(sockaddr_un, sun_path)
                   ? ""
                   : std::string(address->sun_path, ::strnlen(address->sun_path, size));
    }
};

bool listens(const FileDescriptor& socket)
{
    int value = 0;
    int type = 0;
    socklen_t size = sizeof value;
    return ::getsockopt(socket.get(), SOL_SOCKET, SO_ACCEPTCONN, &value, &size) == 0 &&
           ::getsockopt(socket.get(), SOL_SOCKET, SO_TYPE, &type, &size) == 0 && value != 0 &&
           type == SOCK_STREAM;
}

bool isSameFile(const std::filesystem::path& one, const std::filesystem::path& other)
{
    std::error_code error;
    return std::filesystem::weakly_canonical(one, error) ==
           std::filesystem::weakly_canonical(other, error);
}

/// The port of a TCP socket.
std::uint16_t portOf(const FileDescriptor& socket)
{
    Named name(socket);
    return SocketAddress(name.generic(), name.length).port();
}

/// Has those of the port, or of any, listen no more, also where they are open elsewhere.
void endAll(std::vector<FileDescriptor>& sockets, std::optional<std::uint16_t> port)
{
    std::erase_if(
        sockets, [&](const FileDescriptor& socket)
        { return (!port || portOf(socket) == *port) && ::shutdown(socket.get(), SHUT_RDWR) == 0; });
}

std::string joined(const std::vector<std::string>& hosts, std::uint16_t port)
{
    std::string text;
    for (const auto& host : hosts)
        text += (text.empty() ? "" : " or ") + SocketAddress(host, port).toString();
    return text;
}

} // namespace

ListeningSockets::ListeningSockets(ListenOptions options) : _options(std::move(options))
{
    try
    {
        // Resolved, `localhost` may be either; <state.dir>/address shall not change with the resolver.
        const bool local = _options.address == "localhost";
        _hosts = {SocketAddress(local ? v4Loopback : _options.address, 0).host().toString()};
    }
    catch (const Poco::Exception& error)
    {
        fail(error.code() > 0 ? std::generic_category().message(error.code())
                              : error.displayText());
    }
    if (_hosts[0] == v4Loopback || _hosts[0] == "0.0.0.0")
        _hosts.emplace_back(v6Loopback);
    else if (_hosts[0] == v6Loopback)
        _hosts.emplace_back(v4Loopback);
    takePassed();
    takeKept();
    openTcp();
    openUnix();
    // Now that nothing fails any more: with an agent that does not start they stay the keeper's.
    endAll(_unwanted, std::nullopt);
}

void ListeningSockets::fail(const std::string& why) const
{
    throw std::runtime_error("cannot listen on " + _options.address + ":" +
                             std::to_string(_options.port) + ": " + why +
                             ". Set http.address or http.port to another one; stagectl "
                             "doctor tells who has this one");
}

void ListeningSockets::add(FileDescriptor socket, Peer::Door door)
{
    _listeners.push_back({.socket = std::move(socket),
                          .door = door,
                          .tls = door == Peer::Door::Tcp && _options.tls});
}

void ListeningSockets::takePassed()
{
    for (FileDescriptor& socket : _options.passed)
    {
        Named name(socket);
        const std::string number = std::to_string(socket.get());
        if (!listens(socket))
            throw ListenMismatch("descriptor " + number +
                                 " from systemd is no listening stream socket: the .socket unit "
                                 "must use ListenStream= and Accept=no");
        ::fcntl(socket.get(), F_SETFL, ::fcntl(socket.get(), F_GETFL) | O_NONBLOCK);
        ::fcntl(socket.get(), F_SETFD, FD_CLOEXEC);
        if (name.isTcp())
        {
            const SocketAddress address(name.generic(), name.length);
            const std::string host = address.host().toString();
            if (std::count(_hosts.begin(), _hosts.end(), host) == 0 ||
                address.port() != _options.port)
                throw ListenMismatch("the .socket unit listens on " + address.toString() +
                                     ", but http.address and http.port say " +
                                     joined(_hosts, _options.port) +
                                     ". Make ListenStream= and http.address, http.port the same");
            _passedTcp.emplace_back(host, std::move(socket));
        }
        else if (_options.socket.empty() || !isSameFile(name.path(), _options.socket))
            throw ListenMismatch("the .socket unit listens on " + name.path() +
                                 ", but http.socket says " +
                                 (_options.socket.empty() ? "none" : _options.socket.string()) +
                                 ". Make ListenStream= and http.socket the same");
        else
            _passedUnix = std::move(socket);
    }
    _options.passed.clear();
}

void ListeningSockets::takeKept()
{
    for (FileDescriptor& socket : _options.kept)
    {
        Named name(socket);
        if (!name.isTcp() || !listens(socket))
            continue;
        const SocketAddress address(name.generic(), name.length);
        const auto host = std::find(_hosts.begin(), _hosts.end(), address.host().toString());
        if (host != _hosts.end() && (_options.port == 0 || _options.port == address.port()))
            _kept.emplace_back(address.toString(), std::move(socket));
        else
            _unwanted.push_back(std::move(socket));
    }
    _options.kept.clear();
    // The port that was picked for the last daemon.
    if (_options.port == 0 && !_kept.empty())
        _keptPort = SocketAddress(_kept.front().first).port();
    // They are in the way, as 127.0.0.1 is of 0.0.0.0.
    endAll(_unwanted, _keptPort != 0 ? _keptPort : _options.port);
}

/// Errors: an invalid descriptor, and errno.
FileDescriptor ListeningSockets::open(const std::string& host, std::uint16_t port)
{
    const auto passed = std::find_if(_passedTcp.begin(), _passedTcp.end(),
                                     [&](const auto& entry) { return entry.first == host; });
    if (passed != _passedTcp.end())
        return std::move(passed->second);
    const SocketAddress address(host, port);
    const auto kept =
        std::find_if(_kept.begin(), _kept.end(),
                     [&](const auto& entry) { return entry.first == address.toString(); });
    FileDescriptor socket = kept != _kept.end() ? std::move(kept->second) : listenOn(address);
    if (socket.valid())
        _ownTcp.push_back(socket.get());
    return socket;
}

void ListeningSockets::openTcp()
{
    for (int pick = 0; pick < mostPicks; ++pick)
        if (openBoth(pick == 0 && _keptPort != 0 ? _keptPort : _options.port))
            return;
    fail("no port is free in both families");
}

/// Returns false when the port that the kernel picked for the first address is taken at the second.
bool ListeningSockets::openBoth(std::uint16_t port)
{
    _ownTcp.clear();
    FileDescriptor first = open(_hosts[0], port);
    if (!first.valid())
        fail(std::generic_category().message(errno));
    Named name(first);
    const SocketAddress address(name.generic(), name.length);
    FileDescriptor second;
    if (_hosts.size() > 1)
    {
        second = open(_hosts[1], address.port());
        const int error = errno;
        if (!second.valid() && error == EADDRINUSE && _options.port == 0)
            return false;
        const bool absent = error == EADDRNOTAVAIL || error == EAFNOSUPPORT;
        if (!second.valid() && !absent)
            fail(SocketAddress(_hosts[1], address.port()).toString() + ": " +
                 std::generic_category().message(error));
    }
    _port = address.port();
    _authority = address.toString();
    _loopback6 = _hosts[0] == "::" || _hosts[0] == v6Loopback || second.valid();
    add(std::move(first), Peer::Door::Tcp);
    if (second.valid())
        add(std::move(second), Peer::Door::Tcp);
    return true;
}

void ListeningSockets::openUnix()
{
    if (_options.socket.empty())
        return;
    if (!_passedUnix.valid())
    {
        _unix = std::make_unique<UnixSocket>(_options.socket, _options.group, _options.warn);
        _passedUnix = _unix->take();
    }
    add(std::move(_passedUnix), Peer::Door::Unix);
}

} // namespace agent
