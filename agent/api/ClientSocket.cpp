#include "agent/api/ClientSocket.h"

#include <algorithm>

namespace agent
{

void ClientSocket::block()
{
    _blocked = true;
    _unread = _transport->unacknowledged();
    _stalledSince = Clock::now();
}

void ClientSocket::send(std::string_view bytes)
{
    while (!_gone && !_blocked && !bytes.empty())
    {
        const auto moved = _transport->send(bytes);
        bytes.remove_prefix(moved.bytes);
        if (moved.blocked)
            block();
        _gone = moved.ended;
    }
    if (!_gone)
        _kept += bytes;
}

std::uint64_t ClientSocket::sendFile(int file, std::uint64_t offset, std::uint64_t size)
{
    std::uint64_t sent = 0;
    while (!_gone && !_blocked && sent < size)
    {
        const auto moved =
            _transport->sendFile(file, static_cast<std::int64_t>(offset + sent), size - sent);
        sent += moved.bytes;
        if (moved.blocked)
            block();
        _gone = moved.ended;
        if (moved.bytes == 0)
            break;
    }
    return sent;
}

void ClientSocket::writable()
{
    if (!_blocked)
        return;
    _blocked = false;
    std::string kept;
    kept.swap(_kept);
    send(kept);
}

ClientSocket::Clock::time_point ClientSocket::stalledSince()
{
    // A reader that takes a little now and then does not make the socket writable for a long time.
    const std::size_t unread = _transport->unacknowledged();
    if (unread != _unread)
    {
        _unread = unread;
        _stalledSince = Clock::now();
    }
    return _stalledSince;
}

void ClientSocket::finish()
{
    char buffer[4096];
    while (_transport->receive(buffer, sizeof buffer).bytes > 0)
    {
    }
    _transport->finish();
}

} // namespace agent
