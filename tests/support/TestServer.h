#pragma once

#include "agent/api/HttpServer.h"
#include "agent/api/ListeningSockets.h"
#include "agent/api/Transport.h"
#include "tests/support/RawClient.h"

#include <Poco/Exception.h>
#include <sys/mman.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace agent::test
{

/// Holds handlers back until it is opened.
class Gate
{
public:
    void pass()
    {
        std::unique_lock lock(_mutex);
        ++_entered;
        _changed.notify_all();
        _changed.wait(lock, [this] { return _open; });
    }
    void open()
    {
        const std::lock_guard lock(_mutex);
        _open = true;
        _changed.notify_all();
    }
    bool waitEntered(int count)
    {
        std::unique_lock lock(_mutex);
        return _changed.wait_for(lock, RawClient::patience, [&] { return _entered >= count; });
    }

private:
    std::mutex _mutex;
    std::condition_variable _changed;
    bool _open = false;
    int _entered = 0;
};

inline std::shared_ptr<int> memoryFile(const std::string& content)
{
    const int fd = ::memfd_create("http-test", MFD_CLOEXEC);
    if (::write(fd, content.data(), content.size()) != static_cast<ssize_t>(content.size()))
        throw std::runtime_error("cannot write a memfd");
    return {new int(fd), [](const int* file)
            {
                ::close(*file);
                delete file;
            }};
}

template <typename Condition> bool eventually(Condition condition)
{
    const auto end = std::chrono::steady_clock::now() + RawClient::patience;
    while (!condition())
    {
        if (std::chrono::steady_clock::now() > end)
            return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
}

/// A server whose handler says what it was asked: `METHOD path body`.
class TestServer
{
public:
    explicit TestServer(HttpOptions options = {}, ListenOptions listen = {})
    {
        listen.port = 0;
        _sockets.emplace(std::move(listen));
        options.logError = [this](const std::string& line)
        {
            const std::lock_guard lock(_mutex);
            _log += line + "\n";
        };
        _server.emplace(
            options, _sockets->take(),
            Handler{.answer = [this](const Request& request) { return answer(request); },
                    .takesLong = [](const Request& request)
                    { return request.path.starts_with("/long"); }});
        _server->start();
    }
    ~TestServer() { gate.open(); }

    Response answer(const Request& request)
    {
        ++calls;
        Response response;
        if (request.path == "/refuse")
            throw Refusal{.status = 409,
                          .code = "no",
                          .message = "quote \" newline \n bad \xff end",
                          .field = "f",
                          .headers = {{"Retry-After", "7\r\nEvil: yes"}}};
        if (request.path == "/throw")
            throw Poco::NotFoundException("secret detail");
        if (request.path == "/crash")
            throw 42;
        if (request.path == "/wait")
            gate.pass();
        if (request.path == "/cached")
            response.cached = std::make_shared<const std::string>("ready bytes");
        else if (request.path == "/big")
            response.body.assign(std::size_t{64} << 20, 'b');
        else if (request.path == "/file")
            response.file = Response::File{memoryFile("0123456789"), 3, 5};
        else if (request.path == "/short")
            response.file = Response::File{memoryFile("0123456789"), 3, 50};
        else if (request.path == "/pages")
            response.pages = std::make_shared<Response::Pages>(
                Response::Pages{.next = [this, left = 100](std::string& out) mutable
                                {
                                    ++pagesMade;
                                    out.assign(std::size_t{256} << 10, 'p');
                                    return --left > 0;
                                }});
        else if (request.path == "/long/gone")
            goneSeen.store(eventually([&] { return request.gone.stop_requested(); }));
        else if (request.path == "/peer")
            response.body = describe(request);
        else if (request.path == "/nothing")
            response.status = 204;
        else if (request.path == "/take")
            response.takeOver = [this](std::unique_ptr<Transport> transport)
            { taken.set_value(std::move(transport)); };
        else
            response.body = request.method + " " + request.path + " " + request.body;
        return response;
    }

    /// `tcp 127.0.0.1`, `unix 0 0 root 0,4,27`: with uid, gid, user and groups
    static std::string describe(const Request& request)
    {
        const Peer& peer = request.peer;
        if (peer.door == Peer::Door::Tcp)
            return (peer.encrypted ? "tls " : "tcp ") + peer.address;
        std::string text = "unix " + std::to_string(peer.uid) + " " + std::to_string(peer.gid) +
                           " " + peer.user + " ";
        for (const gid_t group : peer.groups)
            text += std::to_string(group) + ",";
        return text;
    }

    std::string log()
    {
        const std::lock_guard lock(_mutex);
        return _log;
    }

    [[nodiscard]] std::string url() const { return "http://" + _sockets->authority(); }
    void stop() { _server->stop(); }

    std::atomic<int> calls = 0;
    std::atomic<int> pagesMade = 0;
    std::atomic<bool> goneSeen = false;
    Gate gate;
    std::promise<std::unique_ptr<Transport>> taken;

private:
    std::mutex _mutex;
    std::string _log;
    std::optional<ListeningSockets> _sockets;
    std::optional<HttpServer> _server;
};

inline const std::string hostLine = "Host: a\r\n";

/// Requests that two parsers could read differently, with the status that refuses each.
inline std::vector<std::pair<int, std::string>> ambiguousRequests()
{
    const std::string post = "POST / HTTP/1.1\r\n" + hostLine;
    const std::string smuggled = "GET /smuggled HTTP/1.1\r\n" + hostLine + "\r\n";
    return {
        {400, post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled},
        {400, post + "Content-Length: 0\r\nContent-Length: 44\r\n\r\n" + smuggled},
        {400, post + "Content-Length: -1\r\n\r\n" + smuggled},
        {400, post + "Content-Length: +5\r\n\r\nhello"},
        {501, post + "Transfer-Encoding: xchunked\r\n\r\n" + smuggled},
        {400, post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"},
        {400, post + "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX" + smuggled},
        {400, "GET / HTTP/1.1\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\n" + hostLine + hostLine + "\r\n"},
        {400, "GET / HTTP/1.1\nHost: a\n\n"},
        {400, std::string("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 28)},
        {400, "GET http://b/ HTTP/1.1\r\n" + hostLine + "\r\n" + smuggled},
        {400, "GET http://a:81/ HTTP/1.1\r\n" + hostLine + "\r\n"},
        {400, "GET http://a/ HTTP/1.1\r\n" + hostLine + hostLine + "\r\n"},
        {400, "GET http://a/ HTTP/1.1\r\n\r\n"},
        {400, "GET http://u@a/ HTTP/1.1\r\n" + hostLine + "\r\n"},
        {400, "GET http://a@b/ HTTP/1.1\r\n" + hostLine + "\r\n"},
        {400, "GET ftp://a/ HTTP/1.1\r\n" + hostLine + "\r\n"},
        {400, "GET http:///a HTTP/1.1\r\n" + hostLine + "\r\n"},
        {400, "GET http://?a HTTP/1.1\r\nHost:\r\n\r\n"},
        {431, "GET /" + std::string(9000, 'a') + " HTTP/1.1\r\n" + hostLine + "\r\n"},
        {431, "GET / HTTP/1.1\r\n" + hostLine + "A: " + std::string(40'000, 'a') + "\r\n\r\n"},
        {505, "GET / HTTP/9.9\r\n" + hostLine + "\r\n"}};
}

} // namespace agent::test
