#include "agent/api/ClientSocket.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

namespace agent
{

namespace
{

bool kernelIsFull()
{
    return errno == EAGAIN || errno == EWOULDBLOCK;
}

int unacknowledged(int fd)
{
    int bytes = 0;
    ::ioctl(fd, SIOCOUTQ, &bytes);
    return bytes;
}

} // namespace

ClientSocket::ClientSocket(int fd) : _fd(fd)
{
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

void ClientSocket::block()
{
    _blocked = true;
    _unread = unacknowledged(_fd.get());
    _stalledSince = Clock::now();
}

void ClientSocket::send(std::string_view bytes)
{
    while (!_gone && !_blocked && !bytes.empty())
    {
        const ssize_t sent =
            ::send(_fd.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent >= 0)
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        else if (kernelIsFull())
            block();
        else if (errno != EINTR)
            _gone = true;
    }
    if (!_gone)
        _kept += bytes;
}

std::uint64_t ClientSocket::sendFile(int file, std::uint64_t offset, std::uint64_t size)
{
    auto at = static_cast<off_t>(offset);
    while (!_gone && !_blocked && size > 0)
    {
        const ssize_t sent = ::sendfile(_fd.get(), file, &at, size);
        if (sent > 0)
            size -= static_cast<std::uint64_t>(sent);
        else if (sent == 0)
            break;
        else if (kernelIsFull())
            block();
        else if (errno != EINTR)
            _gone = true;
    }
    return static_cast<std::uint64_t>(at) - offset;
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
    const int unread = unacknowledged(_fd.get());
    if (unread != _unread)
    {
        _unread = unread;
        _stalledSince = Clock::now();
    }
    return _stalledSince;
}

void ClientSocket::finish() const
{
    char buffer[4096];
    while (::recv(_fd.get(), buffer, sizeof buffer, MSG_DONTWAIT) > 0)
    {
    }
    ::shutdown(_fd.get(), SHUT_WR);
}

} // namespace agent
