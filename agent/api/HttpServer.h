#pragma once

#include "agent/api/Http.h"
#include "agent/api/Listener.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace agent
{

class ConnectionLoop;
class TlsContext;

struct HttpOptions
{
    int threads = 4;      ///< requests answered at a time that wait for nothing but the store
    int longThreads = 32; ///< requests answered at a time that may wait for longer
    int queued = 64;      ///< requests that wait for a thread of either kind; more get 503
    std::size_t connections = 1000; ///< at a time; beyond it those that do least are closed
    std::int64_t bodyLimitBytes = 1 << 20;
    std::int64_t handshakeDeadlineMs = 10'000; ///< for a whole TLS handshake
    std::int64_t headDeadlineMs = 10'000;      ///< for a whole request head
    std::int64_t bodyDeadlineMs = 30'000;      ///< for a whole request body
    std::int64_t idleDeadlineMs = 15'000;      ///< between requests of a connection
    std::int64_t writeDeadlineMs = 30'000;     ///< in which the client takes Connection::leastBytes
    std::string basePath = {};                 ///< as BasePath wants it
    const TlsContext* tls = nullptr;           ///< for listeners that say so
    std::function<void(const std::string&)> logError = {}; ///< one line; any thread
};

/// The HTTP side of the daemon: sockets, deadlines, limits, framing. Knows nothing of stages.
///
/// A request's way: ConnectionLoop reads it (RequestReader, Framing), Dispatcher takes it to the handler
/// on a worker's thread, ConnectionLoop sends the answer (AnswerWriter).
class HttpServer
{
public:
    /// Answers from start() on.
    /// Errors: std::system_error when the kernel gives no descriptors.
    HttpServer(const HttpOptions& options, std::vector<Listener> listeners, Handler handler);
    ~HttpServer();

    void start();

    /// Accepts no more, lets running handlers end and their answers leave (5 s at most), joins all threads.
    void stop();

    /// Returns whether requests are answered: whether within `timeout` a thread for short ones ran `work`, whatever it
    /// threw, and the loop got to know. Threads: any.
    bool ping(std::function<void()> work, std::chrono::milliseconds timeout);

private:
    std::unique_ptr<ConnectionLoop> _loop;
};

} // namespace agent
