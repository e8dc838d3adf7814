#pragma once

#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/StreamSocket.h>
#include <Poco/Timespan.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

namespace agent::test
{

/// A server on a loopback address of its own that takes a request of git and then says nothing, or never stops.
class HostileGitServer
{
public:
    enum class Behaviour
    {
        Hangs,
        Floods ///< with up to 1 GiB of branches
    };

    HostileGitServer(const std::string& address, Behaviour behaviour)
        : _behaviour(behaviour),
          _socket(Poco::Net::SocketAddress(address, 0)),
          _thread([this] { serve(); })
    {
    }
    ~HostileGitServer()
    {
        _stopping = true;
        _thread.join();
    }
    HostileGitServer(const HostileGitServer&) = delete;
    HostileGitServer& operator=(const HostileGitServer&) = delete;

    [[nodiscard]] std::string url() const
    {
        return "http://" + _socket.address().toString() + "/repository.git";
    }

    std::atomic<int> asked{0};
    std::atomic<std::uint64_t> sent{0};

private:
    void serve()
    {
        while (!_stopping)
        {
            if (!_socket.poll(Poco::Timespan(0, 50'000), Poco::Net::Socket::SELECT_READ))
                continue;
            Poco::Net::StreamSocket client = _socket.acceptConnection();
            ++asked;
            char request[4096];
            client.receiveBytes(request, sizeof request);
            try
            {
                _behaviour == Behaviour::Floods ? flood(client) : hang(client);
            }
            catch (const Poco::Exception&)
            {
                continue; // it was closed
            }
        }
    }

    void hang(Poco::Net::StreamSocket& client)
    {
        char byte = 0;
        while (!_stopping)
            if (client.poll(Poco::Timespan(0, 50'000), Poco::Net::Socket::SELECT_READ) &&
                client.receiveBytes(&byte, 1) <= 0)
                return;
    }

    void flood(Poco::Net::StreamSocket& client)
    {
        const std::string head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n";
        client.sendBytes(head.data(), static_cast<int>(head.size()));
        client.setSendTimeout(Poco::Timespan(1, 0));
        for (std::uint64_t branch = 0; !_stopping && sent < (1ULL << 30);)
        {
            std::string lines;
            for (int i = 0; i < 1000; ++i)
                lines +=
                    std::string(40, 'a') + "\trefs/heads/branch-" + std::to_string(++branch) + "\n";
            const int size = client.sendBytes(lines.data(), static_cast<int>(lines.size()));
            sent += static_cast<std::uint64_t>(size);
        }
    }

    const Behaviour _behaviour;
    Poco::Net::ServerSocket _socket;
    std::atomic<bool> _stopping{false};
    std::thread _thread;
};

} // namespace agent::test
