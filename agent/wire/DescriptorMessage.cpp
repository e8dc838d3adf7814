#include "agent/wire/DescriptorMessage.h"

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

bool sendWithDescriptors(int socket, std::string_view text, std::span<const int> descriptors)
{
    if (descriptors.size() > mostDescriptors)
        return false;
    iovec part{.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};
    Control control = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!descriptors.empty())
    {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
        cmsghdr* rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(descriptors.size_bytes());
        std::memcpy(CMSG_DATA(rights), descriptors.data(), descriptors.size_bytes());
    }
    const auto sent = ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent == static_cast<ssize_t>(text.size());
}

DescriptorMessage receiveWithDescriptors(int socket, std::span<char> text)
{
    iovec part{.iov_base = text.data(), .iov_len = text.size()};
    Control control = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    ssize_t got = 0;
    do
        got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    DescriptorMessage received;
    if (got <= 0)
        return received;
    received.size = static_cast<std::size_t>(got);
    received.textCut = (message.msg_flags & MSG_TRUNC) != 0;
    received.descriptorsCut = (message.msg_flags & MSG_CTRUNC) != 0;
    const cmsghdr* rights = CMSG_FIRSTHDR(&message);
    if (rights != nullptr && rights->cmsg_level == SOL_SOCKET && rights->cmsg_type == SCM_RIGHTS)
    {
        const std::size_t count = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        int descriptors[mostDescriptors] = {};
        std::memcpy(descriptors, CMSG_DATA(rights), count * sizeof(int));
        for (std::size_t i = 0; i < count; ++i)
            received.descriptors.emplace_back(descriptors[i]);
    }
    return received;
}

} // namespace agent
