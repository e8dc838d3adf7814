#include "agent/api/Acceptor.h"

#include <Poco/Net/SocketAddress.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>

namespace agent
{

namespace
{

// So many bytes of an answer may wait in the kernel: its memory is bounded too.
constexpr int unsentBytes = 262'144;

// NGROUPS_MAX: a process can't have more.
constexpr std::size_t mostGroups = 65'536;

Peer tcpPeer(const sockaddr* address, socklen_t length, bool tls)
{
    Poco::Net::IPAddress host = Poco::Net::SocketAddress(address, length).host();
    // As the address `::` sees a client of IPv4.
    if (host.family() == Poco::Net::IPAddress::IPv6 && host.isIPv4Mapped())
        host = Poco::Net::IPAddress(static_cast<const char*>(host.addr()) + 12, 4);
    Peer peer;
    peer.address = host.toString();
    peer.encrypted = tls;
    return peer;
}

/// Source: unix(7), SO_PEERCRED; SO_PEERGROUPS in the kernel's net/core/sock.c.
Peer unixPeer(int fd)
{
    Peer peer;
    peer.door = Peer::Door::Unix;
    ucred credentials{};
    socklen_t size = sizeof credentials;
    // Credentials that can't be read stay those of nobody.
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0 &&
        size == sizeof credentials)
    {
        peer.uid = credentials.uid;
        peer.gid = credentials.gid;
    }
    std::vector<gid_t> groups(64);
    while (groups.size() <= mostGroups)
    {
        size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
        if (::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) == 0)
        {
            groups.resize(size / sizeof(gid_t));
            peer.groups = std::move(groups);
            break;
        }
        if (errno != ERANGE)
            break;
        groups.resize(groups.size() * 4);
    }
    return peer;
}

} // namespace

bool Acceptor::watch(int epoll, bool on) const
{
    bool all = on;
    for (const Listener& listener : _listeners)
    {
        epoll_event event{.events = EPOLLIN, .data = {.fd = listener.socket.get()}};
        const bool done = ::epoll_ctl(epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL,
                                      listener.socket.get(), &event) == 0;
        all = (done || errno == EEXIST) && all;
    }
    return all;
}

const Listener* Acceptor::find(int fd) const
{
    for (const Listener& listener : _listeners)
        if (listener.socket.get() == fd)
            return &listener;
    return nullptr;
}

Acceptor::Accepted Acceptor::accept(const Listener& listener)
{
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    int fd = -1;
    do
        fd = ::accept4(listener.socket.get(), generic, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
    while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    Accepted accepted{.socket = FileDescriptor(fd), .peer = {}, .tls = listener.tls};
    if (fd < 0)
    {
        accepted.full = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
        return accepted;
    }
    if (listener.door == Peer::Door::Unix)
    {
        accepted.peer = unixPeer(fd);
        return accepted;
    }
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsentBytes, sizeof unsentBytes);
    accepted.peer = tcpPeer(generic, length, listener.tls);
    return accepted;
}

} // namespace agent
