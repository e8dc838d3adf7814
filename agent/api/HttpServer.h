#pragma once

#include "agent/api/Http.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace agent
{

struct HttpOptions
{
    std::string address = "127.0.0.1";
    std::uint16_t port = 7824; ///< 0: the kernel picks one
    int threads = 32;          ///< connections served at a time
    int queued = 64;           ///< connections that wait for a thread; more get 503
    std::int64_t bodyLimitBytes = 1 << 20;
    std::int64_t headDeadlineMs = 10'000;                  ///< for a whole request head
    std::int64_t bodyDeadlineMs = 30'000;                  ///< for a whole request body
    std::int64_t idleDeadlineMs = 15'000;                  ///< between requests of a connection
    std::int64_t writeDeadlineMs = 30'000;                 ///< without the peer taking a byte
    std::function<void(const std::string&)> logError = {}; ///< one line; any thread
};

/// The HTTP side of the daemon: sockets, deadlines, limits, framing. Knows nothing of stages.
class HttpServer
{
public:
    /// Binds and listens; answers from start() on.
    /// Errors: std::runtime_error that names address and port, and what to do.
    HttpServer(HttpOptions options, Handler handler);
    ~HttpServer();

    void start();

    /// Accepts no more, lets running handlers end (5 s at most) and joins all threads.
    void stop();

    /// `http://127.0.0.1:7824`, with the port in use.
    [[nodiscard]] std::string url() const;

private:
    class Impl;
    std::unique_ptr<Impl> _impl;
};

} // namespace agent
