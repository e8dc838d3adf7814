#pragma once

#include "agent/outbox/TargetWorker.h"

#include <condition_variable>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace agent
{

/// Sends the reports that the record holds to the targets of outbox.d/, until each is confirmed. docs/outbox.md.
/// Threads: any, except for load() and stop(): one at a time.
class Outbox
{
public:
    /// `subscribed`: called with who wants reports, at each load and when a target ends; blocks for a moment at most.
    Outbox(OutboxParts parts, std::function<void(std::vector<Subscription>)> subscribed);
    ~Outbox();

    /// Reads the targets, anew too: one that is as it was goes on, one whose file is faulty stays as it was read.
    /// Reports for targets without a file stay until they are older than outbox.keep.
    /// Returns the problems. Blocks while workers stop. Before start() nothing is sent.
    std::vector<Problem> load(const std::filesystem::path& folder,
                              const std::filesystem::path& secrets);

    /// Begins to send.
    void start();

    /// Says that there are new reports. Never blocks.
    void wake();

    /// Stops sending. What was confirmed is recorded.
    void stop();

    /// Of every target that has a file or reports, by name.
    [[nodiscard]] std::vector<TargetStatus> status() const;

    /// How a report stands; nothing when it waits for others of its run, or has no target.
    [[nodiscard]] std::optional<TargetQueue::Standing> standing(const Report& report) const;

    /// Tries a report at once, or the first of its run. Returns whether its target takes reports.
    bool retry(const Report& report);

private:
    using Workers = std::map<std::string, std::shared_ptr<TargetWorker>>;

    [[nodiscard]] Workers workers() const;
    void ended(const std::string& name);
    void tellSubscriptions();
    void dropOrphans(const Workers& all);
    void lookForOrphans();

    OutboxParts _parts;
    const std::function<void(std::vector<Subscription>)> _subscribed;
    std::thread _orphans; ///< looks for them each hour
    mutable std::mutex _mutex;
    std::condition_variable _changed;
    Workers _workers;             // guarded by _mutex
    std::set<std::string> _ended; // guarded by _mutex: answered 410
    bool _stopping = false;       // guarded by _mutex
    bool _started = false;
};

} // namespace agent
