#pragma once

#include <Poco/Net/Context.h>
#include <Poco/Net/HTTPRequestHandler.h>
#include <Poco/Net/HTTPRequestHandlerFactory.h>
#include <Poco/Net/HTTPServer.h>
#include <Poco/Net/HTTPServerRequest.h>
#include <Poco/Net/HTTPServerRequestImpl.h>
#include <Poco/Net/HTTPServerResponse.h>
#include <Poco/Net/SecureServerSocket.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/StreamCopier.h>
#include <Poco/ThreadPool.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace agent::test
{

/// What a receiver was sent.
struct Received
{
    std::string path;
    std::map<std::string, std::string> headers; ///< names in lower case
    std::string body;
    int status = 0; ///< that it was answered with
};

/// A target of reports on loopback: keeps what it is sent, and answers as it is told.
class Receiver
{
public:
    /// Answers no request: the connection ends.
    static constexpr int hangUp = -1;

    using Answers = std::function<int(const Received&)>;

    /// `answers` returns the status; it may be called by several threads at once.
    explicit Receiver(
        Answers answers = [](const Received&) { return 204; },
        const Poco::Net::Context::Ptr& tls = nullptr)
        : _answers(std::move(answers)), _secure(!tls.isNull())
    {
        const Poco::Net::SocketAddress any("127.0.0.1", 0);
        _socket = tls.isNull() ? std::make_unique<Poco::Net::ServerSocket>(any)
                               : std::make_unique<Poco::Net::SecureServerSocket>(any, 64, tls);
        _server = std::make_unique<Poco::Net::HTTPServer>(new Factory(*this), _threads, *_socket,
                                                          new Poco::Net::HTTPServerParams);
        _server->start();
    }
    ~Receiver()
    {
        _server->stopAll(true);
        _threads.joinAll(); // stopAll() does not wait for a handler
    }
    Receiver(const Receiver&) = delete;
    Receiver& operator=(const Receiver&) = delete;

    [[nodiscard]] std::string url(const std::string& path = "/reports") const
    {
        return (_secure ? "https://" : "http://") + _socket->address().toString() + path;
    }

    /// Headers of every answer, and bodies of those with a status; set before the first request.
    std::map<std::string, std::string> headers;
    std::map<int, std::string> bodies;

    /// Everything so far, in the order in which it came in.
    [[nodiscard]] std::vector<Received> all() const
    {
        const std::lock_guard lock(_mutex);
        return _received;
    }

    /// Those that were answered with 2xx.
    [[nodiscard]] std::vector<Received> taken() const
    {
        std::vector<Received> found;
        for (auto& one : all())
            if (one.status >= 200 && one.status < 300)
                found.push_back(std::move(one));
        return found;
    }

private:
    class Handler: public Poco::Net::HTTPRequestHandler
    {
    public:
        explicit Handler(Receiver& receiver) : _receiver(receiver) {}

        void handleRequest(Poco::Net::HTTPServerRequest& request,
                           Poco::Net::HTTPServerResponse& response) override
        {
            Received received{.path = request.getURI(), .headers = {}, .body = {}};
            for (const auto& [name, value] : request)
                received.headers[Poco::toLower(name)] = value;
            Poco::StreamCopier::copyToString(request.stream(), received.body);
            received.status = _receiver._answers(received);
            const int status = received.status;
            {
                const std::lock_guard lock(_receiver._mutex);
                _receiver._received.push_back(std::move(received));
            }
            if (status == hangUp)
                return dynamic_cast<Poco::Net::HTTPServerRequestImpl&>(request).socket().shutdown();
            response.setStatus(static_cast<Poco::Net::HTTPResponse::HTTPStatus>(status));
            for (const auto& [name, value] : _receiver.headers)
                response.set(name, value);
            const auto body = _receiver.bodies.find(status);
            const std::string text = body == _receiver.bodies.end() ? "" : body->second;
            response.setContentLength64(static_cast<Poco::Int64>(text.size()));
            response.send() << text;
        }

    private:
        Receiver& _receiver;
    };

    class Factory: public Poco::Net::HTTPRequestHandlerFactory
    {
    public:
        explicit Factory(Receiver& receiver) : _receiver(receiver) {}
        Poco::Net::HTTPRequestHandler*
        createRequestHandler(const Poco::Net::HTTPServerRequest&) override
        {
            return new Handler(_receiver);
        }

    private:
        Receiver& _receiver;
    };

    const Answers _answers;
    const bool _secure;
    Poco::ThreadPool _threads;
    std::unique_ptr<Poco::Net::ServerSocket> _socket;
    std::unique_ptr<Poco::Net::HTTPServer> _server;
    mutable std::mutex _mutex;
    std::vector<Received> _received; // guarded by _mutex
};

} // namespace agent::test
