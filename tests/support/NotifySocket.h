#pragma once

#include "tests/support/Daemon.h"

#include <cppunit/TestAssert.h>

#include <algorithm>
#include <chrono>
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
        for (ssize_t size = 0; (size = ::recv(_socket, text, sizeof text, MSG_DONTWAIT)) > 0;)
            _messages.emplace_back(text, static_cast<std::size_t>(size));
        return _messages;
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
};

} // namespace agent::test
