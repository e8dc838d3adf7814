#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace agent
{

enum class TimerKind
{
    Retry,              ///< the next attempt of a failed stage is due
    ExternalTimeout,    ///< an external stage has used up its time
    ApprovalExpiry,     ///< the time for an approval is over
    ShimRecord,         ///< a running stage's shim is to be on record
    StuckCheck,         ///< a running stage may be stuck
    DiskCheck,          ///< the disk was too full to start a run
    RunRetention,       ///< an ended run has reached its age
    WorkspaceRetention, ///< a workspace has
    LogRetention,       ///< a plain log has
    ArtifactRetention   ///< kept files have
};

struct Timer
{
    TimerKind kind = TimerKind::DiskCheck;
    std::string stageId; ///< empty for a timer of the engine as a whole
    int attempt = 0;     ///< the stage's attempt that it was set for
};

/// The engine's timers, on the monotonic clock. There is at most one of a kind for each stage. Setting
/// and taking one costs O(log n).
/// Threads: the engine's.
class Timers
{
public:
    /// Sets `timer` to be due in `delayMs`; replaces the one of its kind and stage.
    void set(const Timer& timer, std::int64_t delayMs);

    /// Cancels all timers of a stage.
    void cancel(const std::string& stageId);

    [[nodiscard]] bool pending(TimerKind kind, const std::string& stageId = {}) const;

    /// Returns the milliseconds until the next one is due, 0 when it is; nothing when none is set.
    [[nodiscard]] std::optional<std::int64_t> untilNext() const;

    /// Removes those that are due and returns them, the earliest first.
    std::vector<Timer> takeDue();

private:
    using Clock = std::chrono::steady_clock;
    using Key = std::pair<std::string, TimerKind>;

    struct Entry
    {
        Clock::time_point at;
        int attempt = 0;
    };

    std::map<Key, Entry> _timers;
    std::set<std::pair<Clock::time_point, Key>> _byTime;
};

} // namespace agent
