#pragma once

#include "agent/outbox/LogPush.h"
#include "agent/outbox/TargetConnection.h"
#include "agent/outbox/TargetQueue.h"
#include "agent/store/Database.h"

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace agent
{

/// What the workers of an outbox share.
struct OutboxParts
{
    Database& database;
    std::filesystem::path caFile; ///< empty: the system's authorities
    std::int64_t keepMs = 0;      ///< a report that is older is dropped; 0: never
    std::int64_t most = 0;        ///< of more reports for a target the oldest are dropped; 0: never
    /// Removes reports from the record, and blocks until that is on disk. Errors: any; nothing was removed then.
    std::function<void(const std::vector<std::int64_t>& seqs)> remove;
    std::function<void(const std::string& target)> removeAll; ///< of a target
    /// Replaces the body of a report, and blocks until that is on disk. Errors: any; it is as it was then.
    std::function<void(std::int64_t seq, const std::string& body)> update;
    LogPush::FolderOf logFolder;                      ///< where an attempt has its log
    std::function<void(const std::string& line)> log; ///< one line of the journal
};

/// How a target does.
struct TargetStatus
{
    std::string name;
    std::string type;      ///< empty: its file is gone, or was never right
    std::string url;       ///< as it may be shown
    std::string state;     ///< `ok`, `failing`, `ended` (it answered 410) or `missing`
    std::string lastError; ///< of the last attempt; empty where that went well
    std::optional<TimeMs> failingSince;
    std::optional<TimeMs> nextAttemptAt; ///< where it is failing
    OutboxStore::Backlog backlog;
    std::uint64_t sent = 0;     ///< confirmed since the agent's start, as those below
    std::uint64_t failures = 0; ///< attempts
    std::uint64_t dropped = 0;  ///< reports that were refused for good, too old or too many
};

/// Sends the reports of one target, on a thread of its own, so that no target waits for another.
///
/// A report is removed from the record after its target has confirmed it: with others, half a second later at most,
/// as each removal is a transaction. A daemon that is killed before sends it again, with the same id.
class TargetWorker
{
public:
    /// `ended`: called on the worker's thread when the target wants no more reports.
    TargetWorker(TargetSpec target, OutboxParts& parts, std::function<void()> ended);
    TargetWorker(const TargetWorker&) = delete;
    TargetWorker& operator=(const TargetWorker&) = delete;
    ~TargetWorker();

    void start();

    /// Says that there may be new reports. Never blocks.
    void wake();

    /// Begins to end: the report under way is given up. stop() waits for it: while a connection is made or a name
    /// looked up that takes some seconds.
    void askToStop();
    void stop();

    /// Makes the first report of its lane due at once.
    void retry(const std::string& lane);

    [[nodiscard]] const TargetSpec& target() const { return _target; }
    [[nodiscard]] TargetStatus status() const;

    /// How a report stands, if it is the first of its lane; `at` on the wall clock.
    [[nodiscard]] std::optional<TargetQueue::Standing> standing(const std::string& lane,
                                                                std::int64_t seq) const;

private:
    void work();
    void readOn();
    void send(const TargetQueue::Entry& entry);
    bool isOutdated(const TargetRequest& request);
    void sendPiece(const TargetQueue::Entry& entry, const Report& report);
    void take(const TargetQueue::Entry& entry, const Reply& reply);
    void pass(const TargetQueue::Entry& entry);
    void remember(std::int64_t seq);
    void dropOld();
    void dropSurplus();
    bool recordDone();
    void end();
    void rest();
    void logChange(const std::string& error);

    const TargetSpec _target;
    OutboxParts& _parts;
    const std::function<void()> _ended;
    TargetConnection _connection;
    std::thread _thread;

    // Of the worker's thread.
    std::vector<std::int64_t> _done; ///< to be removed from the record
    std::int64_t _doneSince = 0;     ///< when the first of them came in
    std::int64_t _read = 0;          ///< reports up to this seq are in the queue, or gone
    std::int64_t _oldLookedAt = 0;
    std::int64_t _surplusLookedAt = 0;
    std::map<std::int64_t, LogPush> _logs; ///< on their way, by seq
    std::map<std::string, std::string>
        _newest; ///< by TargetRequest::subject: the newest run whose state was sent

    mutable std::mutex _mutex;
    std::condition_variable _changed;
    TargetQueue _queue;   // guarded by _mutex, as all below
    TargetStatus _status; ///< but for `state` and `nextAttemptAt`
    bool _news = true;    ///< the record may have more reports
    bool _stopping = false;
    bool _isEnded = false;
};

} // namespace agent
