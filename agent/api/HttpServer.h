#pragma once

#include "agent/api/Http.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace agent
{

class ConnectionLoop;

struct HttpOptions
{
    std::string address = "127.0.0.1";
    std::uint16_t port = 7824; ///< 0: the kernel picks one
    int threads = 4;           ///< requests answered at a time that wait for nothing but the store
    int longThreads = 32;      ///< requests answered at a time that may wait for longer
    int queued = 64;           ///< requests that wait for a thread of either kind; more get 503
    std::size_t connections = 1000; ///< at a time; beyond it those that do least are closed
    std::int64_t bodyLimitBytes = 1 << 20;
    std::int64_t headDeadlineMs = 10'000;  ///< for a whole request head
    std::int64_t bodyDeadlineMs = 30'000;  ///< for a whole request body
    std::int64_t idleDeadlineMs = 15'000;  ///< between requests of a connection
    std::int64_t writeDeadlineMs = 30'000; ///< in which the client takes Connection::leastBytes
    std::function<void(const std::string&)> logError = {}; ///< one line; any thread
};

/// The HTTP side of the daemon: sockets, deadlines, limits, framing. Knows nothing of stages.
///
/// A request's way: ConnectionLoop reads it (RequestReader, Framing), Dispatcher takes it to the handler
/// on a worker's thread, ConnectionLoop sends the answer (AnswerWriter).
class HttpServer
{
public:
    /// Binds and listens; answers from start() on.
    /// Errors: std::runtime_error that names address and port, and what to do.
    HttpServer(const HttpOptions& options, Handler handler);
    ~HttpServer();

    void start();

    /// Accepts no more, lets running handlers end and their answers leave (5 s at most), joins all threads.
    void stop();

    /// `http://127.0.0.1:7824`, with the port in use.
    [[nodiscard]] std::string url() const { return _url; }

private:
    std::string _url;
    std::unique_ptr<ConnectionLoop> _loop;
};

} // namespace agent
