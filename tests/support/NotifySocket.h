#pragma once

#include "agent/os/FileDescriptor.h"
#include "tests/support/Daemon.h"

#include <cppunit/TestAssert.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace agent::test
{

/// What systemd is at the other end of $NOTIFY_SOCKET.
class NotifySocket
{
public:
    explicit NotifySocket(const std::filesystem::path& path)
        : _path(path), _socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0))
    {
        sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
        path.string().copy(address.sun_path, sizeof address.sun_path - 1);
        CPPUNIT_ASSERT_EQUAL(
            0, ::bind(_socket, reinterpret_cast<sockaddr*>(&address), sizeof address));
    }
    ~NotifySocket() { ::close(_socket); }
    NotifySocket(const NotifySocket&) = delete;
    NotifySocket& operator=(const NotifySocket&) = delete;

    [[nodiscard]] std::string path() const { return _path.string(); }

    /// All messages so far, oldest first.
    const std::vector<std::string>& messages()
    {
        char text[4096];
        while (true)
        {
            alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
            iovec part{.iov_base = text, .iov_len = sizeof text};
            msghdr message{};
            message.msg_iov = &part;
            message.msg_iovlen = 1;
            message.msg_control = control;
            message.msg_controllen = sizeof control;
            const ssize_t size = ::recvmsg(_socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
            if (size <= 0)
                return _messages;
            _messages.emplace_back(text, static_cast<std::size_t>(size));
            const cmsghdr* header = CMSG_FIRSTHDR(&message);
            if (header != nullptr && header->cmsg_type == SCM_RIGHTS)
            {
                int descriptor = -1;
                std::memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
                _stored.emplace_back(descriptor);
            }
        }
    }

    /// The descriptors that came with messages so far.
    const std::vector<FileDescriptor>& stored()
    {
        (void)messages();
        return _stored;
    }

    [[nodiscard]] std::ptrdiff_t count(const std::string& message)
    {
        const auto& all = messages();
        return std::count(all.begin(), all.end(), message);
    }

    /// Waits until `message` has come. Errors: fails the test after 30 s.
    void waitFor(const std::string& message)
    {
        agent::test::waitFor(message, [&] { return count(message) > 0; });
    }

    /// Waits until `message` has come `more` times from now on. Errors: fails the test after 30 s.
    void waitForMore(const std::string& message, std::ptrdiff_t more)
    {
        const auto wanted = count(message) + more;
        agent::test::waitFor(message, [&] { return count(message) >= wanted; });
    }

    /// Returns whether `message` comes within `time`.
    bool comes(const std::string& message, std::chrono::milliseconds time)
    {
        const auto before = count(message);
        const auto end = std::chrono::steady_clock::now() + time;
        while (count(message) == before && std::chrono::steady_clock::now() < end)
        {
            pollfd wait{.fd = _socket, .events = POLLIN, .revents = 0};
            ::poll(&wait, 1, 50);
        }
        return count(message) > before;
    }

private:
    std::filesystem::path _path;
    int _socket;
    std::vector<std::string> _messages;
    std::vector<FileDescriptor> _stored;
};

} // namespace agent::test
