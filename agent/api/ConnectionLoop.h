#pragma once

#include "agent/api/Acceptor.h"
#include "agent/api/BasePath.h"
#include "agent/api/Connection.h"
#include "agent/api/Dispatcher.h"
#include "agent/tls/TlsContext.h"

#include <atomic>
#include <cstddef>
#include <memory>
#include <queue>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

namespace agent
{

struct LoopOptions
{
    std::size_t connections = 0; ///< at a time; beyond it those that do least are closed
    ConnectionLimits limits;
    BasePath basePath;
    const TlsContext* tls = nullptr; ///< for listeners that say so
    std::function<void(const std::string&)> logError = {};
};

/// One thread that owns all clients' sockets: it accepts, reads requests, gives whole ones to the
/// dispatcher, and sends the answers. It sleeps until something happens or a deadline is due, so that a
/// client which reads or writes slowly costs some kilobytes and no thread.
/// Threads: start(), stop() and the destructor by the owner's.
class ConnectionLoop
{
public:
    /// Errors: std::system_error when the kernel gives no descriptors.
    ConnectionLoop(LoopOptions options, std::vector<Listener> listeners,
                   DispatcherOptions dispatcher, Handler handler);
    ~ConnectionLoop();

    void start();

    /// Accepts no more, answers 503 to requests that wait for a thread, sends the answers that are being
    /// made (5 s at most), and joins all threads.
    void stop();

    /// As Dispatcher's.
    bool ping(std::function<void()> work, std::chrono::milliseconds timeout);

private:
    using Clock = Connection::Clock;
    using Deadline = std::pair<Clock::time_point, int>; ///< and the descriptor

    void run();
    void turn();
    void hear(int fd, std::uint32_t events);
    void accept(const Listener& listener);
    void listen(bool on);
    void advance(Connection& connection);
    bool step(Connection& connection);
    void dispatch(Connection& connection);
    void respond(Connection& connection, Response response);
    void handOver(Connection& connection);
    void collect();
    void account(Connection& connection);
    void schedule(Connection& connection);
    [[nodiscard]] Connection* scheduled(const Deadline& deadline) const;
    void expire();
    void evict(std::size_t count);
    void evictWriter();
    void dismiss();
    [[nodiscard]] int timeoutMs() const;
    void drop(int fd);

    const LoopOptions _options;
    Acceptor _acceptor;
    FileDescriptor _epoll;
    FileDescriptor _wake; ///< an eventfd: look at the dispatcher and at _stopping
    std::atomic<bool> _stopping = false;
    Dispatcher _dispatcher;

    // The thread's own.
    std::unordered_map<int, std::unique_ptr<Connection>> _connections;
    std::vector<int> _again; ///< had their turn, and have more to do
    std::priority_queue<Deadline, std::vector<Deadline>, std::greater<>> _deadlines;
    std::size_t _held = 0; ///< bytes of answers in memory
    bool _listens = false;
    Clock::time_point _listenAgain; ///< the kernel had no descriptors left
    Clock::time_point _stopUntil = Clock::time_point::max();

    std::thread _thread;
};

} // namespace agent
