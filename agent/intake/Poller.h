#pragma once

#include "agent/intake/Hooks.h"
#include "agent/intake/KnownRefs.h"
#include "agent/os/FileDescriptor.h"

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace agent
{

/// What polling works with.
struct PollParts
{
    Hooks& hooks;
    const ServiceCatalog& services;
    std::filesystem::path folder;                     ///< for what is known of the repositories
    std::filesystem::path gitConfig;                  ///< as RemoteLookup has it
    std::function<void(const std::string& line)> log; ///< one line of the journal
};

/// Asks the repositories of services that say `poll` for their branches and tags, and starts the runs of what is new there:
/// docs/hooks.md, "Polling". A host is asked by one process at a time, whatever the number of its repositories; hosts do not
/// wait for each other, but past sixteen some share a thread. What comes of a change is listed with the deliveries.
/// Threads: any, except for load() and stop(): one at a time.
class Poller
{
public:
    /// The most hosts that are asked at a time.
    static constexpr std::size_t mostLanes = 16;
    /// So many changes of a repository are handled at a time; the rest at the next one.
    static constexpr std::size_t mostChanges = 100;
    static constexpr std::int64_t longestPauseMs = 3'600'000;

    /// Errors: std::system_error.
    explicit Poller(PollParts parts);
    ~Poller();
    Poller(const Poller&) = delete;
    Poller& operator=(const Poller&) = delete;

    /// Looks at the services, anew too: a repository that is polled as before keeps its time. What is known of those that no
    /// service polls any more is forgotten, unless a service could not be read.
    void load();

    /// Ends all git processes. Blocks for a second at most.
    void stop();

private:
    struct Repository
    {
        std::int64_t everyMs = 0;
        std::int64_t at = 0; ///< CLOCK_MONOTONIC, ms
        int failures = 0;    ///< in a row
    };
    /// The repositories of some hosts, by URL, and their thread.
    struct Lane
    {
        std::map<std::string, Repository> repositories;
        std::thread thread;
    };

    void work(Lane& lane);
    void poll(const std::string& url);
    bool stopping();
    bool tell(const std::string& url, const std::string& ref, const std::string& commit);
    void note(Lane& lane, const std::string& url, const std::string& failure);

    const PollParts _parts;
    const KnownRefs _known;
    const FileDescriptor _stop; ///< eventfd
    std::mutex _mutex;
    std::condition_variable _changed;
    // All guarded by _mutex.
    std::map<std::string, std::size_t> _laneOf; ///< by host
    std::vector<std::unique_ptr<Lane>> _lanes;
    bool _stopping = false;
    bool _forgets = false; ///< what no service polls any more
    std::minstd_rand _random;
};

} // namespace agent
