#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>

namespace agent
{

/// Counts the wrong tokens of each peer, and says when a peer has to wait. No thread waits with it: the answer
/// tells the client to.
/// Threads: any.
class TokenFailures
{
public:
    using Clock = std::chrono::steady_clock;

    static constexpr int free = 5; ///< so many cost nothing
    static constexpr std::chrono::seconds delay{1};
    static constexpr std::chrono::seconds forgotten{60}; ///< a peer without failures for so long
    static constexpr std::size_t mostPeers = 1024;       ///< the least recent one is forgotten

    /// `log` gets one line when a peer has to wait for the first time.
    explicit TokenFailures(std::function<void(const std::string&)> log = {}) : _log(std::move(log))
    {
    }

    /// `peer` has sent a wrong token. Returns whether it has to wait.
    bool failed(const std::string& peer, Clock::time_point now = Clock::now());

    struct Counts
    {
        std::uint64_t failures = 0; ///< wrong tokens, those that had to wait too
        std::uint64_t delayed = 0;
    };
    [[nodiscard]] Counts counts() const;
    [[nodiscard]] std::size_t peers() const;

private:
    struct Peer
    {
        int failures = 0;
        Clock::time_point last;
    };

    void makeRoom();

    const std::function<void(const std::string&)> _log;
    mutable std::mutex _mutex;
    std::unordered_map<std::string, Peer> _peers; // guarded by _mutex
    Counts _counts;                               // guarded by _mutex
};

} // namespace agent
