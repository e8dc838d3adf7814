#include "agent/api/Transport.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace agent
{

namespace
{

Transport::Moved resultOf(ssize_t count)
{
    if (count >= 0)
        return {.bytes = static_cast<std::size_t>(count)};
    const bool blocked = errno == EAGAIN || errno == EWOULDBLOCK;
    return {.blocked = blocked, .ended = !blocked};
}

template <typename Call> ssize_t uninterrupted(Call call)
{
    while (true)
    {
        const ssize_t result = call();
        if (result >= 0 || errno != EINTR)
            return result;
    }
}

} // namespace

Transport::Transport(FileDescriptor socket) : _socket(std::move(socket))
{
    ::fcntl(fd(), F_SETFL, ::fcntl(fd(), F_GETFL) | O_NONBLOCK);
}

Transport::Moved PlainTransport::receive(char* buffer, std::size_t size)
{
    Moved moved = resultOf(uninterrupted([&] { return ::recv(fd(), buffer, size, MSG_DONTWAIT); }));
    moved.ended = moved.ended || (moved.bytes == 0 && !moved.blocked);
    // A short read has emptied the kernel's buffer; what comes later is told anew.
    moved.blocked = moved.blocked || (moved.bytes > 0 && moved.bytes < size);
    return moved;
}

Transport::Moved PlainTransport::send(std::string_view first, std::string_view second)
{
    iovec parts[2] = {{const_cast<char*>(first.data()), first.size()},
                      {const_cast<char*>(second.data()), second.size()}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = second.empty() ? 1 : 2;
    return resultOf(
        uninterrupted([&] { return ::sendmsg(fd(), &message, MSG_DONTWAIT | MSG_NOSIGNAL); }));
}

Transport::Moved PlainTransport::sendFile(int file, std::int64_t offset, std::size_t size)
{
    off_t position = offset;
    return resultOf(uninterrupted([&] { return ::sendfile(fd(), file, &position, size); }));
}

std::size_t Transport::unacknowledged() const
{
    int bytes = 0;
    ::ioctl(fd(), SIOCOUTQ, &bytes);
    return static_cast<std::size_t>(std::max(0, bytes));
}

bool Transport::hasUnread() const
{
    char byte = 0;
    return ::recv(fd(), &byte, 1, MSG_DONTWAIT | MSG_PEEK) > 0;
}

void Transport::finish()
{
    ::shutdown(fd(), SHUT_WR);
}

} // namespace agent
