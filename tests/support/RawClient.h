#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

namespace agent::test
{

/// An answer as it came over the wire.
struct RawAnswer
{
    int status = 0; ///< 0: the connection ended without one
    std::string head;
    std::string body;

    [[nodiscard]] std::string header(const std::string& name) const
    {
        const std::size_t start = head.find("\r\n" + name + ": ");
        if (start == std::string::npos)
            return "";
        const std::size_t value = start + name.size() + 4;
        return head.substr(value, head.find("\r\n", value) - value);
    }
};

/// Takes one answer out of `bytes`, to which `more()` appends until the connection ends: the body as long as
/// Content-Length says, none for `bodyless`.
template <typename More> RawAnswer takeAnswer(std::string& bytes, More more, bool bodyless = false)
{
    RawAnswer answer;
    std::size_t end = std::string::npos;
    while ((end = bytes.find("\r\n\r\n")) == std::string::npos)
        if (!more())
            return answer;
    answer.head = bytes.substr(0, end + 2);
    bytes.erase(0, end + 4);
    answer.status = std::atoi(answer.head.c_str() + 9);
    const auto length =
        bodyless ? 0
                 : static_cast<std::size_t>(std::atoll(answer.header("Content-Length").c_str()));
    while (bytes.size() < length && more())
    {
    }
    answer.body = bytes.substr(0, length);
    bytes.erase(0, length);
    return answer;
}

/// A client that sends exactly the bytes that it is told to, and waits at most ten seconds.
class RawClient
{
public:
    static constexpr std::chrono::seconds patience{10};

    /// `url`: http://127.0.0.1:PORT or unix:///PATH. A `receiveBuffer` makes a client that takes little;
    /// `source`: the address that it comes from.
    explicit RawClient(const std::string& url, int receiveBuffer = 0, const char* source = nullptr)
    {
        sockaddr_un file{};
        sockaddr_in host{};
        const bool isUnix = url.starts_with("unix://");
        _fd = ::socket(isUnix ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (receiveBuffer > 0)
            ::setsockopt(_fd, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, sizeof receiveBuffer);
        file.sun_family = AF_UNIX;
        std::strncpy(file.sun_path, isUnix ? url.c_str() + 7 : "", sizeof file.sun_path - 1);
        host.sin_family = AF_INET;
        if (source != nullptr && ::inet_pton(AF_INET, source, &host.sin_addr) == 1)
            ::bind(_fd, reinterpret_cast<sockaddr*>(&host), sizeof host);
        host.sin_port =
            htons(static_cast<std::uint16_t>(std::atoi(url.c_str() + url.rfind(':') + 1)));
        host.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const auto* const address = isUnix ? reinterpret_cast<const sockaddr*>(&file)
                                           : reinterpret_cast<const sockaddr*>(&host);
        if (::connect(_fd, address, isUnix ? sizeof file : sizeof host) != 0)
        {
            ::close(_fd);
            throw std::runtime_error("cannot connect to " + url);
        }
    }

    /// Whether the server has read all that was sent: nothing waits in its socket's queue.
    /// Source: /proc/net/tcp in proc(5).
    [[nodiscard]] bool wasRead() const
    {
        const auto portOf = [this](auto nameOf)
        {
            sockaddr_in end{};
            socklen_t size = sizeof end;
            nameOf(_fd, reinterpret_cast<sockaddr*>(&end), &size);
            char text[8];
            std::snprintf(text, sizeof text, ":%04X", ntohs(end.sin_port));
            return std::string(text);
        };
        const std::string ours = portOf(::getsockname);
        const std::string servers = portOf(::getpeername);
        std::ifstream table("/proc/net/tcp");
        std::string line; // `   1: 0100007F:AEFB 0100007F:1F90 01 00000000:00000000 …`
        while (std::getline(table, line))
        {
            // No columns: the number in front grows with the count of connections.
            std::istringstream fields(line);
            std::string number, local, remote, state, queues;
            fields >> number >> local >> remote >> state >> queues;
            if (local.ends_with(servers) && remote.ends_with(ours) && state == "01")
                return queues.ends_with(":00000000");
        }
        return false;
    }

    [[nodiscard]] int fd() const { return _fd; }

    ~RawClient() { close(); }
    RawClient(RawClient&& other) noexcept : _fd(other._fd), _bytes(std::move(other._bytes))
    {
        other._fd = -1;
    }
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;

    void close()
    {
        if (_fd >= 0)
            ::close(_fd);
        _fd = -1;
    }

    void endSending() const { ::shutdown(_fd, SHUT_WR); }

    /// Errors: false when the server takes no more.
    bool send(const std::string& bytes) const
    {
        for (std::size_t done = 0; done < bytes.size();)
        {
            const ssize_t sent =
                ::send(_fd, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
            if (sent <= 0)
                return false;
            done += static_cast<std::size_t>(sent);
        }
        return true;
    }

    RawAnswer get(const std::string& target, const std::string& headers = "")
    {
        send("GET " + target + " HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n");
        return receive();
    }

    RawAnswer post(const std::string& target, const std::string& body)
    {
        send("POST " + target + " HTTP/1.1\r\nHost: a\r\nContent-Length: " +
             std::to_string(body.size()) + "\r\n\r\n" + body);
        return receive();
    }

    /// As takeAnswer().
    RawAnswer receive(bool bodyless = false)
    {
        return takeAnswer(
            _bytes, [this] { return more(); }, bodyless);
    }

    /// Reads until the server closes. Errors: throws when it does not, or when it resets.
    std::string receiveAll()
    {
        while (more())
        {
        }
        if (_broken)
            throw std::runtime_error(std::string("not closed: ") + std::strerror(_error));
        return std::move(_bytes);
    }

    /// Appends what has arrived within `time`, and what was left of the last answer.
    /// Returns false once the server has closed.
    bool readSome(std::string& bytes, std::chrono::milliseconds time)
    {
        bytes += std::exchange(_bytes, {});
        pollfd entry{.fd = _fd, .events = POLLIN, .revents = 0};
        if (::poll(&entry, 1, static_cast<int>(time.count())) <= 0)
            return true;
        char buffer[65536];
        const ssize_t got = ::recv(_fd, buffer, sizeof buffer, 0);
        if (got > 0)
            bytes.append(buffer, static_cast<std::size_t>(got));
        return got > 0;
    }

    /// Says whether the server closes within `time`, whatever it sends before.
    bool isClosedWithin(std::chrono::milliseconds time)
    {
        const auto end = std::chrono::steady_clock::now() + time;
        while (std::chrono::steady_clock::now() < end)
        {
            pollfd entry{.fd = _fd, .events = POLLIN, .revents = 0};
            char buffer[4096];
            if (::poll(&entry, 1, 10) > 0 && ::recv(_fd, buffer, sizeof buffer, 0) <= 0)
                return true;
        }
        return false;
    }

private:
    bool more()
    {
        pollfd entry{.fd = _fd, .events = POLLIN, .revents = 0};
        char buffer[65536];
        const int ready = ::poll(&entry, 1, static_cast<int>(patience.count() * 1000));
        const ssize_t got = ready > 0 ? ::recv(_fd, buffer, sizeof buffer, 0) : -1;
        if (got > 0)
            _bytes.append(buffer, static_cast<std::size_t>(got));
        _broken = got < 0;
        _error = ready > 0 ? errno : ETIMEDOUT;
        return got > 0;
    }

    int _fd = -1;
    std::string _bytes;
    bool _broken = false;
    int _error = 0;
};

} // namespace agent::test
