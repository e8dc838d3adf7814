#pragma once

#include "agent/api/Connection.h"
#include "agent/api/Lobby.h"

#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/ServerSocketImpl.h>
#include <Poco/Net/StreamSocketImpl.h>

#include <atomic>
#include <memory>

namespace agent
{

/// What Poco's HTTP connection sees of a Connection: the head of one whole request at a time. Between
/// requests it lingers for a moment and then gives the connection back to the lobby, which to Poco
/// looks like a client that closed.
/// Threads: one at a time, as Poco does it.
class StreamImpl final: public Poco::Net::StreamSocketImpl
{
public:
    StreamImpl(std::unique_ptr<Connection> connection, std::shared_ptr<Lobby> lobby);

    [[nodiscard]] Connection& connection() { return *_connection; }

    /// From here on this is an ordinary blocking socket that nobody but its owner closes; the lobby
    /// does not count it any more.
    void detach();

    /// After the taker is done: what it did with this object comes before its end.
    void release() { _released.store(true, std::memory_order_release); }

    using StreamSocketImpl::receiveBytes;
    using StreamSocketImpl::sendBytes;
    bool poll(const Poco::Timespan& timeout, int mode) override;
    int receiveBytes(void* buffer, int length, int flags) override;
    int sendBytes(const void* buffer, int length, int flags) override;
    void close() override;
    void setReceiveTimeout(const Poco::Timespan& timeout) override;
    Poco::Net::SocketAddress address() override;
    Poco::Net::SocketAddress peerAddress() override;

protected:
    ~StreamImpl() override;

private:
    bool nextRequest();
    void giveBack();
    void letGo();

    std::unique_ptr<Connection> _connection; ///< none once it was given back
    const std::shared_ptr<Lobby> _lobby;
    std::size_t _read = 0; ///< bytes of the head that Poco has
    bool _detached = false;

    // The accepting thread may be the one that drops the last reference. Poco's count orders that,
    // which a race detector can't see inside a library that it did not compile.
    std::atomic<bool> _released = false;
};

/// A connection without a client that holds one thread of Poco's until the lobby stops. Poco never lets
/// its last thread go: that one would wake up at every idle time, and at stop Poco wakes only one of
/// those that wait. With a resident all others end soon after their work.
class ResidentImpl final: public Poco::Net::StreamSocketImpl
{
public:
    explicit ResidentImpl(std::shared_ptr<Lobby> lobby);

    bool poll(const Poco::Timespan& timeout, int mode) override;
    Poco::Net::SocketAddress address() override { return {}; }
    void setReceiveTimeout(const Poco::Timespan&) override {}
    void setRawOption(int, int, const void*, poco_socklen_t) override {}

protected:
    ~ResidentImpl() override = default;

private:
    const std::shared_ptr<Lobby> _lobby;
};

/// The listening socket: its poll() is the lobby's wait(), so Poco's accepting thread sleeps without a
/// timeout, and what it accepts is a connection with a whole request, after a resident.
class ListenerImpl final: public Poco::Net::ServerSocketImpl
{
public:
    explicit ListenerImpl(std::shared_ptr<Lobby> lobby) : _lobby(std::move(lobby)) {}

    bool poll(const Poco::Timespan& timeout, int mode) override;
    Poco::Net::SocketImpl* acceptConnection(Poco::Net::SocketAddress& client) override;

protected:
    ~ListenerImpl() override = default;
    void init(int family) override;

private:
    const std::shared_ptr<Lobby> _lobby;
    bool _hasResident = false;
};

class ListenerSocket: public Poco::Net::ServerSocket
{
public:
    explicit ListenerSocket(std::shared_ptr<Lobby> lobby)
        : ServerSocket(new ListenerImpl(std::move(lobby)), true)
    {
    }
};

} // namespace agent
