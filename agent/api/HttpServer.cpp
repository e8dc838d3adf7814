#include "agent/api/HttpServer.h"

#include "agent/api/Answer.h"
#include "agent/api/Guard.h"
#include "agent/api/Lobby.h"
#include "agent/api/Sockets.h"
#include "agent/model/Id.h"

#include <Poco/Net/HTTPRequestHandler.h>
#include <Poco/Net/HTTPRequestHandlerFactory.h>
#include <Poco/Net/HTTPServer.h>
#include <Poco/Net/HTTPServerParams.h>
#include <Poco/Net/HTTPServerRequestImpl.h>
#include <Poco/Net/HTTPServerResponse.h>
#include <Poco/NumberFormatter.h>
#include <Poco/ThreadPool.h>

#include <chrono>
#include <stdexcept>
#include <system_error>

namespace agent
{
namespace
{

using Poco::Net::HTTPRequestHandler;
using Poco::Net::HTTPRequestHandlerFactory;
using Poco::Net::HTTPServerParams;
using Poco::Net::HTTPServerRequest;
using Poco::Net::HTTPServerRequestImpl;
using Poco::Net::HTTPServerResponse;
using Poco::Net::SocketAddress;
using Poco::Net::StreamSocket;

constexpr std::chrono::seconds stopTime{5};

std::string lower(std::string text)
{
    for (char& c : text)
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c - 'A' + 'a');
    return text;
}

/// What all exchanges share; outlives them.
struct Service
{
    HttpOptions options;
    Handler handler;
    std::shared_ptr<Lobby> lobby;
};

Request makeRequest(const HTTPServerRequest& http, Connection& connection)
{
    Request request;
    // A HEAD is a GET whose body stays here.
    request.method = http.getMethod() == "HEAD" ? "GET" : http.getMethod();
    Target target = parseTarget(http.getURI());
    request.path = std::move(target.path);
    request.segments = std::move(target.segments);
    request.query = std::move(target.query);
    for (const auto& [name, value] : http)
    {
        // Two of a kind become a list (RFC 9110 section 5.3), which no single-valued header is equal to.
        const auto [entry, isNew] = request.headers.emplace(lower(name), value);
        if (!isNew)
            entry->second += ", " + value;
    }
    request.body = connection.takeBody();
    request.actor = connection.peer().host().toString();
    return request;
}

class Exchange: public HTTPRequestHandler
{
public:
    explicit Exchange(const Service& service) : _service(service) {}

    void handleRequest(HTTPServerRequest& http, HTTPServerResponse& response) override
    {
        auto& request = static_cast<HTTPServerRequestImpl&>(http);
        auto& stream = static_cast<StreamImpl&>(*request.socket().impl());
        Response answer = ask(request, stream.connection());
        if (answer.takeOver)
        {
            response.setKeepAlive(false);
            handOver(answer, request, stream);
            return;
        }
        const Head& head = stream.connection().head();
        const bool keepAlive = head.keepAlive && !head.chunked && !_service.lobby->stopping();
        const bool sent = answer.stream ? sendStream(answer, stream.connection(), keepAlive)
                                        : send(answer, stream.connection(), keepAlive);
        response.setKeepAlive(sent && keepAlive);
    }

private:
    /// Never throws: what a handler throws becomes an answer here and nowhere else.
    Response ask(HTTPServerRequestImpl& http, Connection& connection) const
    {
        std::string failure;
        try
        {
            return _service.handler(makeRequest(http, connection));
        }
        catch (const Refusal& refusal)
        {
            return answerTo(refusal);
        }
        catch (const Poco::Exception& error)
        {
            failure = error.displayText();
        }
        catch (const std::exception& error)
        {
            failure = error.what();
        }
        catch (...)
        {
            failure = "unknown exception";
        }
        const std::string id = newId();
        if (_service.options.logError)
            _service.options.logError("internal error " + id + ": " + connection.head().method +
                                      " " + connection.head().target + ": " + failure);
        return internalError(id);
    }

    static std::string connectionHeader(const Head& head, bool keepAlive)
    {
        if (!keepAlive)
            return "close";
        return head.version11 ? "" : "keep-alive";
    }

    static bool send(const Response& answer, Connection& connection, bool keepAlive)
    {
        const Head& head = connection.head();
        const std::string& body = answer.cached ? *answer.cached : answer.body;
        const std::int64_t length =
            answer.file ? answer.file->length : static_cast<std::int64_t>(body.size());
        const std::string first = answerHead(answer, length, connectionHeader(head, keepAlive));
        const bool bodyless = head.method == "HEAD" || answer.status == 204 || answer.status == 304;
        if (bodyless || length == 0)
            return connection.send(first, {});
        if (!answer.file)
            return connection.send(first, body);
        return connection.send(first, {}, true) &&
               connection.sendFile(*answer.file->descriptor, answer.file->offset, length);
    }

    /// Shape: whether another request may follow. Without a length HTTP/1.1 gets chunks, HTTP/1.0 the
    /// end of the connection.
    bool sendStream(Response& answer, Connection& connection, bool keepAlive) const
    {
        const Head& head = connection.head();
        const auto& source = *answer.stream;
        const bool chunked = !source.length && head.version11;
        keepAlive = keepAlive && (chunked || source.length);
        if (chunked)
            answer.headers["Transfer-Encoding"] = "chunked";
        std::string first = answerHead(answer, source.length, connectionHeader(head, keepAlive));
        if (head.method == "HEAD")
            return connection.send(first, {}) && keepAlive;
        try
        {
            std::string bytes;
            while (source.next(bytes))
            {
                if (bytes.empty())
                    continue;
                if (chunked)
                {
                    first += Poco::NumberFormatter::formatHex(bytes.size()) + "\r\n";
                    bytes += "\r\n";
                }
                if (!connection.send(first, bytes))
                    return false;
                first.clear();
                bytes.clear();
            }
        }
        catch (const std::exception& error)
        {
            if (_service.options.logError)
                _service.options.logError("an answer to " + head.target +
                                          " could not be ended: " + error.what());
            return false;
        }
        return connection.send(first, chunked ? "0\r\n\r\n" : "") && keepAlive;
    }

    void handOver(const Response& answer, HTTPServerRequestImpl& http, StreamImpl& stream) const
    {
        Connection& connection = stream.connection();
        const bool wantsBody = connection.head().method != "HEAD";
        if (!connection.send(answerHead(answer, std::nullopt, "close"), {}) || !wantsBody)
            return;
        const StreamSocket socket = http.detachSocket();
        stream.detach();
        try
        {
            answer.takeOver(socket);
        }
        catch (...)
        {
            if (_service.options.logError)
                _service.options.logError("a connection was not taken over");
        }
        stream.release();
    }

    const Service& _service;
};

class ExchangeFactory: public HTTPRequestHandlerFactory
{
public:
    explicit ExchangeFactory(const Service& service) : _service(service) {}

    HTTPRequestHandler* createRequestHandler(const HTTPServerRequest&) override
    {
        return new Exchange(_service);
    }

private:
    const Service& _service;
};

LobbyOptions lobbyOptions(const HttpOptions& options)
{
    using std::chrono::milliseconds;
    return {.threads = options.threads,
            .queued = options.queued,
            .limits = {.bodyBytes = options.bodyLimitBytes,
                       .headDeadline = milliseconds(options.headDeadlineMs),
                       .bodyDeadline = milliseconds(options.bodyDeadlineMs),
                       .idleDeadline = milliseconds(options.idleDeadlineMs),
                       .writeDeadline = milliseconds(options.writeDeadlineMs)}};
}

HTTPServerParams::Ptr serverParams(const HttpOptions& options)
{
    HTTPServerParams::Ptr params(new HTTPServerParams);
    // The lobby hands over no more than there are threads, and a resident: Poco's queue is only
    // passed through.
    params->setMaxThreads(options.threads + 1);
    params->setMaxQueued(options.threads + 1);
    // How long a thread waits for its next connection, and so how long stop() waits for it.
    params->setThreadIdleTime(Poco::Timespan(0, 50'000));
    params->setKeepAlive(true);
    return params;
}

} // namespace

std::optional<std::string> Request::parameter(const std::string& name) const
{
    for (const auto& [key, value] : query)
        if (key == name)
            return value;
    return std::nullopt;
}

std::string Request::header(const std::string& lowerName) const
{
    const auto entry = headers.find(lowerName);
    return entry == headers.end() ? std::string() : entry->second;
}

class HttpServer::Impl
{
public:
    Impl(HttpOptions options, Handler handler)
        : _service{std::move(options), std::move(handler), nullptr},
          // A thread of the pool counts as taken for a moment after its connection was given back.
          _pool("http", 1, 2 * _service.options.threads + 4)
    {
        const HttpOptions& given = _service.options;
        _service.lobby = std::make_shared<Lobby>(lobbyOptions(given));
        _socket = std::make_unique<ListenerSocket>(_service.lobby);
        const std::string place = given.address + ":" + std::to_string(given.port);
        try
        {
            // Not with SO_REUSEPORT, by which a second agent would silently get half of the requests.
            _socket->bind(SocketAddress(given.address, given.port), true, false);
            _socket->listen(SOMAXCONN);
        }
        catch (const Poco::Exception& error)
        {
            const std::string why = error.code() > 0 ? std::generic_category().message(error.code())
                                                     : error.displayText();
            throw std::runtime_error("cannot listen on " + place + ": " + why +
                                     ". Set http.address or http.port to another one; stagectl "
                                     "doctor tells who has this one");
        }
        _address = _socket->address();
        _service.lobby->listen(_socket->impl()->sockfd());
        _server = std::make_unique<Poco::Net::HTTPServer>(new ExchangeFactory(_service), _pool,
                                                          *_socket, serverParams(given));
    }

    ~Impl() { stop(); }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    void start()
    {
        _server->start();
        _started = true;
    }

    void stop()
    {
        if (!_started)
            return;
        _started = false;
        _service.lobby->stop();
        _server->stop();
        _socket->close();
        _service.lobby->finish(stopTime);
        _pool.joinAll();
    }

    [[nodiscard]] std::string url() const { return "http://" + _address.toString(); }

private:
    Service _service;
    Poco::ThreadPool _pool;
    std::unique_ptr<ListenerSocket> _socket;
    SocketAddress _address;
    std::unique_ptr<Poco::Net::HTTPServer> _server;
    bool _started = false;
};

HttpServer::HttpServer(HttpOptions options, Handler handler)
    : _impl(std::make_unique<Impl>(std::move(options), std::move(handler)))
{
}

HttpServer::~HttpServer() = default;

void HttpServer::start()
{
    _impl->start();
}

void HttpServer::stop()
{
    _impl->stop();
}

std::string HttpServer::url() const
{
    return _impl->url();
}

} // namespace agent
