#include "agent/wire/KeeperMessage.h"

#include <cerrno>
#include <cstring>

#include <sys/socket.h>
#include <sys/uio.h>

namespace agent
{

namespace
{

constexpr std::size_t mostDescriptors = 8;

/// Room for the control message, aligned as it needs to be.
union Control
{
    cmsghdr header;
    char bytes[CMSG_SPACE(mostDescriptors * sizeof(int))];
};

} // namespace

bool sendToKeeper(int socket, KeeperMessage::Kind kind, const std::vector<int>& descriptors)
{
    if (descriptors.size() > mostDescriptors)
        return false;
    char letter = static_cast<char>(kind);
    iovec text{.iov_base = &letter, .iov_len = 1};
    Control control = {};
    msghdr message{};
    message.msg_iov = &text;
    message.msg_iovlen = 1;
    if (const std::size_t size = descriptors.size() * sizeof(int); size > 0)
    {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(size);
        cmsghdr* part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(size);
        std::memcpy(CMSG_DATA(part), descriptors.data(), size);
    }
    return ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}

std::optional<KeeperMessage> receiveKeeperMessage(int socket)
{
    char letter = 0;
    iovec text{.iov_base = &letter, .iov_len = 1};
    Control control = {};
    msghdr message{};
    message.msg_iov = &text;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    ssize_t got = 0;
    do
        got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    KeeperMessage received{.kind = static_cast<KeeperMessage::Kind>(letter),
                           .descriptors = {},
                           .whole = (message.msg_flags & MSG_CTRUNC) == 0};
    const cmsghdr* part = got > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
    if (part != nullptr && part->cmsg_type == SCM_RIGHTS)
    {
        const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        int descriptors[mostDescriptors] = {};
        std::memcpy(descriptors, CMSG_DATA(part), count * sizeof(int));
        for (std::size_t i = 0; i < count; ++i)
            received.descriptors.emplace_back(descriptors[i]);
    }
    if (got != 1 || (message.msg_flags & MSG_TRUNC) != 0)
        return std::nullopt;
    return received;
}

} // namespace agent
