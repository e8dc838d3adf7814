#pragma once

#include "agent/api/Caller.h"
#include "agent/api/ClientSocket.h"
#include "agent/api/FollowedLogs.h"
#include "agent/api/FollowedRuns.h"
#include "agent/api/LogPlace.h"
#include "agent/run/StateFolder.h"

#include <cstdint>
#include <memory>
#include <set>
#include <string>

namespace agent
{

/// What followers read from.
struct FollowedParts
{
    FollowedRuns& runs;
    FollowedLogs& logs;
    const StateFolder& state;
};

/// What one client follows, and how far it has come. It keeps no bytes: what a slow client does not take
/// stays in the log and in the record.
/// Threads: the followers'.
class Follower
{
public:
    enum class Progress
    {
        Waits, ///< all there is was sent, or the socket is blocked
        More,  ///< others shall have their turn
        Ended  ///< nothing will come any more
    };

    Follower() = default;
    Follower(const Follower&) = delete;
    Follower& operator=(const Follower&) = delete;
    virtual ~Follower() = default;

    /// Sends what there is, some 256 KiB at most, and stops where the socket is blocked.
    /// Errors: what the logs and the record throw.
    virtual Progress pump(ClientSocket& socket) = 0;

    /// Event streams show that they live; a text has no place for it.
    [[nodiscard]] virtual bool wantsHeartbeat() const = 0;
};

/// How much a follower sends before others have their turn.
constexpr std::uint64_t turnBytes = 262'144;

/// The bytes of a stage's log, until the stage has ended and all of them were sent.
class TextFollower final: public Follower
{
public:
    struct Wish
    {
        std::string runId;
        std::string stageId;
        int attempt = 1;        ///< the first one
        bool onlyThat = false;  ///< false: goes on with the next attempts
        std::uint64_t from = 0; ///< in bytes, of the first attempt
        bool timestamps = false;
    };

    TextFollower(FollowedParts parts, Wish wish) : _parts(parts), _wish(std::move(wish)) {}

    Progress pump(ClientSocket& socket) override;
    [[nodiscard]] bool wantsHeartbeat() const override { return false; }

private:
    std::uint64_t sendSome(ClientSocket& socket, LogReader& log);

    FollowedParts _parts;
    Wish _wish;
    std::shared_ptr<FollowedLog> _log;
};

/// Changes of runs and stages, and log lines, as Server-Sent Events.
class EventFollower final: public Follower
{
public:
    struct Wish
    {
        std::string runId;   ///< empty: all runs. Set where stageId is
        std::string stageId; ///< empty: all stages
        Caller caller = {};  ///< of all runs, only those that he may see are told
        bool logs = false;
        std::int64_t since = 0; ///< seq of the newest change before the answer's head was sent
        std::optional<LogPlace>
            linesAfter;                  ///< where a stage's lines begin; none: its newest attempt
        std::optional<EventPlace> after; ///< none: first tell how things stand
        bool resumes =
            false; ///< the client has an id, of which `after` is none where it is not ours
    };

    EventFollower(FollowedParts parts, Wish wish) : _parts(parts), _wish(std::move(wish)) {}

    Progress pump(ClientSocket& socket) override;
    [[nodiscard]] bool wantsHeartbeat() const override { return true; }

private:
    void begin(std::string& out);
    void tellState(std::string& out) const;
    bool tellChanges(std::string& out);
    void tellChange(std::string& out, const FollowedRuns::Change& change, bool runFollows) const;
    bool tellLines(ClientSocket& socket, bool onlyOver);
    bool nextLog(const FollowedRun& run, const Stage* stage);
    [[nodiscard]] bool concerns(const FollowedRuns::Change& change);
    [[nodiscard]] bool sees(const FollowedRuns::Change& change);

    FollowedParts _parts;
    Wish _wish;
    bool _begun = false;
    EventPlace _place;
    std::shared_ptr<FollowedLog> _log;
    std::set<std::string>
        _seen; ///< runs that a narrowed caller saw: what is gone belongs to no service
};

} // namespace agent
