#pragma once

#include "agent/api/Follower.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace agent
{

struct FollowersOptions
{
    std::size_t most = 2000;                       ///< clients at a time
    std::chrono::milliseconds heartbeat{15'000};   ///< of event streams
    std::chrono::milliseconds patience{30'000};    ///< with a client that takes no byte
    std::function<void(const std::string&)> log{}; ///< one line; the followers' thread
    RunFactsOf
        facts{}; ///< of the runs that are told; without it they have none. The followers' thread
};

/// All clients that follow a log or the events, served by one thread: it sleeps until a log grows
/// (inotify), the engine commits, or a client takes more. A slow client delays no other; one
/// that takes nothing at all is dropped.
/// Threads: start() and stop() by the owner's, the rest by any.
class Followers
{
public:
    /// Errors: std::system_error when the kernel gives no descriptors.
    Followers(FollowersOptions options, Database& database, const StateFolder& state);
    ~Followers();
    Followers(const Followers&) = delete;
    Followers& operator=(const Followers&) = delete;

    void start();

    /// Closes all connections and joins the thread.
    void stop();

    /// These runs were changed by a commit. Never blocks for long.
    void changed(const std::set<std::string>& runIds);

    /// Returns room for one more client, null when there is none. The room is held until the last copy ends.
    std::shared_ptr<void> room();

    /// What a client needs to follow: room, and a token that is valid. Without one it needs none.
    struct Leave
    {
        std::shared_ptr<void> room;
        std::shared_ptr<const Grant> grant;
    };

    /// Follows on this connection from now on, and closes it at the end, or when the token ends. After stop()
    /// it is closed at once.
    void add(std::unique_ptr<Transport> transport, TextFollower::Wish wish, Leave leave);
    void add(std::unique_ptr<Transport> transport, EventFollower::Wish wish, Leave leave);

    /// A token was revoked: looks whose connections end by that.
    void recheck();

private:
    using Clock = std::chrono::steady_clock;

    struct Client
    {
        Client(std::unique_ptr<Transport> transport, std::unique_ptr<Follower> follows, Leave given)
            : socket(std::move(transport)), follower(std::move(follows)), leave(std::move(given))
        {
        }

        ClientSocket socket;
        std::unique_ptr<Follower> follower;
        Leave leave;
        bool more = false; ///< it has more to send than its turn allowed
    };

    void add(std::unique_ptr<Client> client);
    void work();
    void round();
    void takeInbox();
    void hear(int fd, std::uint32_t events);
    bool serve(Client& client);
    void dropStalled();
    void sendHeartbeats();
    void watchLogs(bool on);
    [[nodiscard]] int timeoutMs() const;
    void log(const std::string& line) const;

    const FollowersOptions _options;
    std::shared_ptr<std::atomic<std::size_t>> _taken;
    FileDescriptor _epoll;
    FileDescriptor _wake; ///< an eventfd: look at the inbox

    // The thread's own.
    const StateFolder& _state;
    FollowedRuns _runs;
    FollowedLogs _logs;
    std::unordered_map<int, std::unique_ptr<Client>> _clients;
    Clock::time_point _nextHeartbeat;
    Clock::time_point _restUntil; ///< logs are not looked at before
    bool _watchesLogs = false;
    bool _looked = false; ///< at the logs, in this round

    std::mutex _mutex;
    bool _stopping = true;                       // guarded by _mutex
    std::vector<std::unique_ptr<Client>> _inbox; // guarded by _mutex
    std::set<std::string> _changed;              // guarded by _mutex
    std::thread _thread;
};

} // namespace agent
