#pragma once

#include "agent/os/FileDescriptor.h"
#include "agent/run/CacheStore.h"

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace agent
{

/// What is to be saved of a run that ended in SUCCESS.
struct CacheJob
{
    struct OfStage
    {
        std::string report; ///< the file that tells its keys
        std::int64_t madeMs = 0;
        std::vector<CacheSpec> caches;
    };

    std::string runId;
    std::string workspace;
    std::string home;
    std::string service;
    std::string serviceName;
    std::string scope;
    std::string scopeName;
    std::vector<std::string> reads; ///< scopes: what they have is not saved again
    std::vector<OfStage> stages;
};

std::string toJson(const CacheJob& job);
std::optional<CacheJob> cacheJobFrom(const std::string& json);

/// An attempt of a stage with caches that has ended.
struct CachedAttempt
{
    std::string report;
    std::string service;
    std::vector<std::string> reads; ///< scopes: no other is believed
    std::size_t caches = 0;
    std::int64_t durationMs = 0;
    bool succeeded = false;
};

/// Counts since the start of the daemon.
struct CacheCounts
{
    std::uint64_t exact = 0;
    std::uint64_t prefix = 0;
    std::uint64_t misses = 0;
    std::uint64_t restoredBytes = 0;
    std::uint64_t savedBytes = 0;
    std::uint64_t savedMs = 0; ///< of stages' time
};

struct CacheOptions
{
    std::filesystem::path program;          ///< stage-cache
    std::int64_t maxBytes = 0;              ///< 0: nothing is saved
    std::int64_t timeoutMs = 0;             ///< of one save
    std::function<std::string()> lack = {}; ///< what the disk lacks; empty: nothing
    std::function<void(const std::string&)> info = {};
    std::function<void(const std::string&)> warn = {};
};

/// Saves caches, one after the other, and takes note of their use, on a thread of low priority.
class CacheWorker
{
public:
    CacheWorker(CacheStore& store, CacheOptions options);
    ~CacheWorker(); ///< Ends the save at work; the next daemon does it again.
    CacheWorker(const CacheWorker&) = delete;
    CacheWorker& operator=(const CacheWorker&) = delete;

    [[nodiscard]] const CacheStore& store() const { return _store; }
    [[nodiscard]] const CacheOptions& options() const { return _options; }

    /// Has it saved, also by the next daemon if need be. Threads: any.
    void save(CacheJob job);

    /// Takes note of what the attempt restored. Threads: any.
    void ended(CachedAttempt attempt);

    /// Removes caches until the disk lacks nothing, and gives up the save at work, which takes more of it. Threads: any; does
    /// not wait for it.
    void makeRoom();

    /// Whether makeRoom() may find any. Threads: any.
    [[nodiscard]] bool mayHaveSome() const;

    /// Whether the run's workspace is still to be read. Threads: any.
    [[nodiscard]] bool holds(const std::string& runId) const;

    /// Threads: any.
    [[nodiscard]] CacheCounts counts() const;

private:
    void work(const std::stop_token& stop);
    bool saveAll(const CacheJob& job, const std::stop_token& stop);
    bool saveOne(const CacheJob& job, const CacheSpec& cache, const std::string& key,
                 std::int64_t madeMs, const std::stop_token& stop);
    [[nodiscard]] bool isThere(const CacheJob& job, const std::string& key) const;
    void note(const CachedAttempt& attempt);
    void relieve();
    void forgetInterrupt() const;

    CacheStore& _store;
    const CacheOptions _options;
    const FileDescriptor _interrupt; ///< readable when the save at work is to end

    mutable std::mutex _mutex;
    std::condition_variable_any _changed;
    std::deque<CacheJob> _jobs;          // guarded by _mutex
    std::deque<CachedAttempt> _attempts; // guarded by _mutex
    std::set<std::string> _held;         // guarded by _mutex
    CacheCounts _counts;                 // guarded by _mutex
    bool _roomWanted = false;            // guarded by _mutex
    bool _some = true;                   // guarded by _mutex: there may be archives
    bool _saving = false;                // guarded by _mutex
    std::jthread _thread;                // last: it uses all above
};

} // namespace agent
