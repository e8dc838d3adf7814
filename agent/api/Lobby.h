#pragma once

#include "agent/api/Connection.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace agent
{

struct LobbyOptions
{
    int threads = 0; ///< requests answered at a time
    int queued = 0;  ///< whole requests that wait for a thread; more are refused with 503
    ConnectionLimits limits;
};

/// Where connections are while no thread works for them: new ones, idle ones, those whose request is
/// still arriving, those that wait for a thread. One thread looks after all of them, so idle and
/// dripping clients can't starve others; it sleeps until something happens or a deadline is due.
///
/// Threads: wait() and take() by one thread, the rest by any.
class Lobby
{
public:
    /// Errors: std::system_error when the kernel gives no descriptors.
    explicit Lobby(const LobbyOptions& options);
    ~Lobby();
    Lobby(const Lobby&) = delete;
    Lobby& operator=(const Lobby&) = delete;

    /// Accepts from this socket from now on; it is borrowed.
    void listen(int fd);

    /// Blocks until a whole request is there and a thread may take it.
    /// Shape: false once stop() was called.
    bool wait();

    /// After wait() said true: the connection with the oldest whole request. The taker gives it back
    /// with park() or leave().
    std::unique_ptr<Connection> take();

    /// Takes back a connection whose request was answered, in whatever state the next one is.
    void park(std::unique_ptr<Connection> connection);

    /// No thread works for this connection any more, and it does not come back. To be called while
    /// its descriptor is still open.
    void leave(const Connection& connection);

    /// Somebody waits for a thread: whoever has one shall not linger.
    [[nodiscard]] bool crowded() const { return _crowd.load() > 0; }
    [[nodiscard]] bool stopping() const { return _stopping.load(); }

    void stop();

    /// Blocks until stop().
    void waitForStop();

    /// After stop(), and when nobody is in wait() any more: answers 503 to requests that wait for a
    /// thread, closes what is here, and blocks until no taken connection is left. After `time` it
    /// breaks those that are, so that nobody blocks on them any longer.
    void finish(std::chrono::milliseconds time);

private:
    void watch(std::unique_ptr<Connection> connection);
    std::unique_ptr<Connection> unwatch(int fd);
    void look(int fd);
    void sort(std::unique_ptr<Connection> connection);
    void accept();
    void evict();
    void expire();
    void collect();
    void dismiss();
    void wake() const;
    [[nodiscard]] int timeoutMs() const;
    [[nodiscard]] bool threadFree();

    const LobbyOptions _options;
    const std::size_t _limit; ///< of connections watched
    int _epoll = -1;
    int _event = -1; ///< an eventfd: look at _inbox, _active and _stopping
    std::atomic<bool> _stopping = false;
    std::atomic<std::size_t> _crowd = 0; ///< size of _waiting

    // Of the thread in wait().
    int _listener = -1;
    Connection::Clock::time_point _deafUntil; ///< no descriptors were left to accept with
    std::unordered_map<int, std::unique_ptr<Connection>> _watched;
    std::deque<std::unique_ptr<Connection>> _waiting;

    std::mutex _mutex;                // protects what follows
    std::condition_variable _changed; ///< _active or _stopping
    std::unordered_set<int> _active;  ///< descriptors of taken connections
    std::vector<std::unique_ptr<Connection>> _inbox;
};

} // namespace agent
