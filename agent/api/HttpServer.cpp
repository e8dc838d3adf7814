#include "agent/api/HttpServer.h"

#include "agent/api/ConnectionLoop.h"

#include <chrono>

namespace agent
{
namespace
{

LoopOptions loopOptions(const HttpOptions& options)
{
    using std::chrono::milliseconds;
    return {.connections = options.connections,
            .limits = {.bodyBytes = options.bodyLimitBytes,
                       .handshakeDeadline = milliseconds(options.handshakeDeadlineMs),
                       .headDeadline = milliseconds(options.headDeadlineMs),
                       .bodyDeadline = milliseconds(options.bodyDeadlineMs),
                       .idleDeadline = milliseconds(options.idleDeadlineMs),
                       .writeDeadline = milliseconds(options.writeDeadlineMs)},
            .basePath = BasePath(options.basePath),
            .tls = options.tls,
            .logError = options.logError};
}

} // namespace

HttpServer::HttpServer(const HttpOptions& options, std::vector<Listener> listeners, Handler handler)
{
    _loop = std::make_unique<ConnectionLoop>(loopOptions(options), std::move(listeners),
                                             DispatcherOptions{.shortThreads = options.threads,
                                                               .longThreads = options.longThreads,
                                                               .queued = options.queued,
                                                               .logError = options.logError},
                                             std::move(handler));
}

HttpServer::~HttpServer() = default;

void HttpServer::start()
{
    _loop->start();
}

bool HttpServer::ping(std::function<void()> work, std::chrono::milliseconds timeout)
{
    return _loop->ping(std::move(work), timeout);
}

void HttpServer::stop()
{
    _loop->stop();
}

} // namespace agent
