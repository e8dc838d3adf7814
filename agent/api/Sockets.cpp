#include "agent/api/Sockets.h"

#include <Poco/Net/NetException.h>

#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstring>

namespace agent
{
namespace
{

using Poco::Timespan;
using Poco::Net::NetException;
using Poco::Net::SocketAddress;

// The next request of a busy client is here within microseconds; then the way through the lobby,
// which costs two changes of threads, is saved.
constexpr std::chrono::milliseconds linger{20};

} // namespace

StreamImpl::StreamImpl(std::unique_ptr<Connection> connection, std::shared_ptr<Lobby> lobby)
    : StreamSocketImpl(connection->fd()),
      _connection(std::move(connection)),
      _lobby(std::move(lobby))
{
}

StreamImpl::~StreamImpl()
{
    (void)_released.load(std::memory_order_acquire);
    letGo();
}

void StreamImpl::detach()
{
    _lobby->leave(*_connection);
    _connection->makeBlocking();
    _detached = true;
}

bool StreamImpl::poll(const Timespan& timeout, int mode)
{
    if (_detached)
        return StreamSocketImpl::poll(timeout, mode);
    if (!_connection)
        return false;
    if ((mode & SELECT_READ) == 0 || _read < _connection->headBytes().size())
        return true;
    if (nextRequest())
        return true;
    giveBack();
    return false;
}

bool StreamImpl::nextRequest()
{
    _read = 0;
    _connection->next();
    // Whoever waits for a thread comes first, so that busy connections can't keep all threads.
    if (_lobby->crowded() || _lobby->stopping())
        return false;
    if (_connection->state() == Connection::State::Idle && !_connection->waitReadable(linger))
        return false;
    return _connection->receive() == Connection::State::Ready;
}

void StreamImpl::giveBack()
{
    reset();
    _lobby->park(std::move(_connection));
}

int StreamImpl::receiveBytes(void* buffer, int length, int flags)
{
    if (_detached)
        return StreamSocketImpl::receiveBytes(buffer, length, flags);
    if (!_connection)
        return 0;
    const auto rest = _connection->headBytes().substr(_read);
    const std::size_t part = std::min(rest.size(), static_cast<std::size_t>(length));
    std::memcpy(buffer, rest.data(), part);
    _read += part;
    return static_cast<int>(part);
}

int StreamImpl::sendBytes(const void* buffer, int length, int flags)
{
    if (_detached)
        return StreamSocketImpl::sendBytes(buffer, length, flags);
    if (!_connection ||
        !_connection->send({static_cast<const char*>(buffer), static_cast<std::size_t>(length)},
                           {}))
        throw NetException("the client took nothing more");
    return length;
}

void StreamImpl::close()
{
    letGo();
    _released.store(true, std::memory_order_release);
}

void StreamImpl::letGo()
{
    if (!_connection)
        return;
    reset();
    if (!_detached)
    {
        if (_connection->hasUnread())
        {
            // Closing now would be a reset that can overtake the answer.
            ::shutdown(_connection->fd(), SHUT_WR);
            _connection->refuse({});
            _lobby->park(std::move(_connection));
            return;
        }
        _lobby->leave(*_connection);
    }
    _connection.reset();
}

void StreamImpl::setReceiveTimeout(const Timespan& timeout)
{
    if (_detached) // else the lobby knows the deadlines
        StreamSocketImpl::setReceiveTimeout(timeout);
}

SocketAddress StreamImpl::address()
{
    if (!_connection)
        throw NetException("the connection is closed");
    return _connection->local();
}

SocketAddress StreamImpl::peerAddress()
{
    if (!_connection)
        throw NetException("the connection is closed");
    return _connection->peer();
}

// Poco asks a socket without a descriptor for nothing.
ResidentImpl::ResidentImpl(std::shared_ptr<Lobby> lobby)
    : StreamSocketImpl(::eventfd(0, EFD_CLOEXEC)), _lobby(std::move(lobby))
{
}

bool ResidentImpl::poll(const Timespan&, int)
{
    _lobby->waitForStop();
    return false;
}

bool ListenerImpl::poll(const Timespan&, int)
{
    return !_hasResident || _lobby->wait();
}

Poco::Net::SocketImpl* ListenerImpl::acceptConnection(SocketAddress& client)
{
    if (!_hasResident)
    {
        _hasResident = true;
        return new ResidentImpl(_lobby);
    }
    auto connection = _lobby->take();
    if (!connection)
        throw NetException("no request waits");
    client = connection->peer();
    return new StreamImpl(std::move(connection), _lobby);
}

void ListenerImpl::init(int family)
{
    reset(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (sockfd() == POCO_INVALID_SOCKET)
        error();
}

} // namespace agent
