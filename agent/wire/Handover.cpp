#include "agent/wire/Handover.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include <sys/socket.h>
#include <sys/uio.h>

namespace agent
{

namespace
{

constexpr std::size_t mostDescriptors = 2;

/// More than an outcome with the longest message that a shim writes.
constexpr std::size_t mostOutcomeBytes = 16UL * 1024;

/// Stands before the folder, which begins with a slash.
constexpr char atWord = '-';

constexpr char go = 'g';

/// Room for the control message, aligned as it needs to be.
union Control
{
    cmsghdr header;
    char bytes[CMSG_SPACE(mostDescriptors * sizeof(int))];
};

} // namespace

bool sendHandover(int socket, const std::string& folder, int lock, int secrets, Start start)
{
    const std::string words = (start == Start::AtWord ? std::string(1, atWord) : "") + folder;
    const int descriptors[mostDescriptors] = {lock, secrets};
    const std::size_t size = (secrets < 0 ? 1 : 2) * sizeof(int);
    iovec text{.iov_base = const_cast<char*>(words.data()), .iov_len = words.size()};
    Control control = {};
    msghdr message{};
    message.msg_iov = &text;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(size);
    cmsghdr* part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(size);
    std::memcpy(CMSG_DATA(part), descriptors, size);
    const auto sent = ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent == static_cast<ssize_t>(words.size());
}

std::optional<Handover> receiveHandover(int socket)
{
    char words[PATH_MAX + 1];
    iovec text{.iov_base = words, .iov_len = sizeof words};
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
    Handover handover;
    const cmsghdr* part = CMSG_FIRSTHDR(&message);
    if (got > 0 && part != nullptr && part->cmsg_type == SCM_RIGHTS)
    {
        int descriptors[mostDescriptors] = {-1, -1};
        std::memcpy(descriptors, CMSG_DATA(part),
                    std::min(sizeof descriptors, part->cmsg_len - CMSG_LEN(0)));
        handover.lock = FileDescriptor(descriptors[0]);
        handover.secrets = FileDescriptor(descriptors[1]);
    }
    if (!handover.lock.valid() || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
        return std::nullopt;
    handover.start = words[0] == atWord ? Start::AtWord : Start::Now;
    const std::size_t before = handover.start == Start::AtWord ? 1 : 0;
    handover.folder.assign(words + before, static_cast<std::size_t>(got) - before);
    return handover;
}

bool sendGo(int socket)
{
    return ::send(socket, &go, sizeof go, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof go;
}

bool awaitGo(int socket)
{
    char word = 0;
    ssize_t got = 0;
    do
        got = ::recv(socket, &word, sizeof word, 0);
    while (got < 0 && errno == EINTR);
    return got == sizeof word && word == go;
}

bool tellOutcome(int socket, const std::string& text)
{
    const auto sent = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent == static_cast<ssize_t>(text.size());
}

std::string toldOutcome(int socket)
{
    std::string text(mostOutcomeBytes, '\0');
    ssize_t got = 0;
    do
        got = ::recv(socket, text.data(), text.size(), MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, got)));
    return text;
}

} // namespace agent
