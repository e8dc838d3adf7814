#pragma once

#include "agent/store/OutboxStore.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace agent
{

/// CLOCK_MONOTONIC in ms; never 0: the clock of queues.
inline std::int64_t steadyMs()
{
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

/// Which report of one target is sent next. The reports of a run keep their order: while one waits for its next
/// attempt, those behind it wait too, and other runs go on; a log has a lane of its own, and
/// its turn when no other report is due. A report that failed waits 1 s, then twice as long each
/// time, 10 min at most, and up to half as long on top, so that many agents do not come back at once. After five
/// failures in a row, whatever their runs, the target itself counts as down: then one report at a time is tried, and
/// all are due again when one gets through.
///
/// Times are of a clock that does not jump, in ms. Threads: one at a time.
class TargetQueue
{
public:
    using Entry = OutboxStore::Waiting;

    /// So many reports are known at most; the others stay in the record meanwhile.
    static constexpr std::size_t most = 10'000;
    static constexpr std::int64_t firstPauseMs = 1'000;
    static constexpr std::int64_t longestPauseMs = 600'000;
    static constexpr int failuresUntilDown = 5;

    explicit TargetQueue(std::uint64_t seed) : _random(seed) {}

    /// Behind all others: seq rises from one call to the next.
    void add(Entry entry);

    [[nodiscard]] std::size_t size() const { return _size; }

    /// Returns the report that is to be sent now; nothing when none is due.
    [[nodiscard]] std::optional<Entry> due(std::int64_t now);

    /// Returns when due() has something again; nothing when no report waits.
    [[nodiscard]] std::optional<std::int64_t> nextAt() const;

    /// The report that due() returned was confirmed, refused for good or is not there any more.
    void done(const Entry& entry, bool confirmed);

    /// It could not be sent. `waitMs`: what the target asked for; it concerns all of its reports.
    void failed(const Entry& entry, std::int64_t now, std::optional<std::int64_t> waitMs);

    /// There is more to come of the report, not before `at`; nothing failed. `confirmed`: a part of it got through.
    void later(const Entry& entry, std::int64_t at, bool confirmed);

    /// Makes the first report of the lane due at once and before all others, also where the target is down.
    void retry(const std::string& name);

    /// Takes out all reports that are wanted.
    std::vector<Entry> take(const std::function<bool(const Entry&)>& wanted);

    /// How a report stands.
    struct Standing
    {
        int failures = 0;    ///< since it came first of its run
        std::int64_t at = 0; ///< when it is tried again, no earlier than the target itself
    };
    /// Of the first report of the lane, if it is this one.
    [[nodiscard]] std::optional<Standing> standing(const std::string& name, std::int64_t seq) const;

    /// Whether a report waits for another attempt.
    [[nodiscard]] bool hasFailed() const { return _failing > 0; }

    /// Whether the target counts as down.
    [[nodiscard]] bool down() const { return _failuresInRow >= failuresUntilDown; }

private:
    struct Lane
    {
        std::deque<Entry> entries; ///< of one run, or one log
        int failures = 0;          ///< of the first one
        std::int64_t at = 0;       ///< when that is due
        std::int64_t turn = 0;     ///< where it is due: its place among the lanes
    };
    using Lanes = std::map<std::string, Lane>;

    void schedule(const std::string& name, Lane& lane);
    void unschedule(const std::string& name, const Lane& lane);
    void forgive();
    void gotThrough();
    void recover(Lane& lane);
    [[nodiscard]] std::int64_t pause(int failures);

    Lanes _lanes;                                        ///< none is empty
    std::set<std::pair<std::int64_t, std::string>> _due; ///< by their turn
    std::set<std::pair<std::int64_t, std::string>>
        _waiting; ///< by the time; `at` of these is not 0
    std::int64_t _logTurns = 0;
    std::size_t _size = 0;
    int _failing = 0; ///< lanes whose first report failed
    int _failuresInRow = 0;
    std::int64_t _pausedUntil = 0;
    std::string _asked; ///< the lane that an operator wants to be tried next; empty: none
    std::mt19937_64 _random;
};

} // namespace agent
