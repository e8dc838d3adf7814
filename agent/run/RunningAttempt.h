#pragma once

#include "agent/process/Launcher.h"
#include "agent/process/ShimWatch.h"
#include "agent/run/StageRunner.h"
#include "agent/run/UnkillableStage.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace agent
{

// What happens to an attempt that has a shim, exactly.
//
// Running. Its shim supervises it. held.json is looked at when the shim puts it there, at most once a second,
// and again each 5 s as long as the processes do not show what it says: any stage may write that file.
//
// Overdue. A shim that has not ended its stage 5 s after its timeout and grace is continued, as it may have been
// stopped (where its files are collected, artifacts.timeout later), and has 30 s (5 s where it was) and the grace once more; then it is killed, and the attempt ends with
// TIMEOUT. A shim that is a child of ours is continued as soon as it is stopped, and that is noted (SHIM_STOPPED).
//
// Stopping. The shim was asked to end it. One that has not done so within grace and 5 s is killed, unless the
// kernel holds every process that is left: the stage is unkillable then, and its shim goes on trying.
//
// Killing. Its processes are killed each 50 ms, until the outcome shows that none is left. The shim stays, to
// tell the end; the time of Stopping goes on.
//
// Lost. The shim is gone without an outcome. What it left is killed each 50 ms until none is there, also what has
// become a child of ours by that; then the attempt has ended. After 10 s it is unkillable, and tried each second.
//
// Ended. end() says how: as the shim told it, or as its outcome.json does where the attempt's seal proves it. An
// outcome.json that it does not prove is noted (OUTCOME_REFUSED), and the attempt was lost.
//
// An unkillable attempt goes on in its phase: it ends as any other once its processes are gone.

/// One attempt from its launch or adoption to its end. Knows its processes by what this daemon ordered, or found when
/// it adopted the attempt: what a stage writes into its folder later changes nothing.
/// Threads: the engine's.
class RunningAttempt
{
public:
    using Clock = std::chrono::steady_clock;

    enum class Phase
    {
        Running,
        Stopping,
        Killing,
        Lost,
        Ended
    };

    struct Start
    {
        std::filesystem::path folder;
        Order order;                ///< with cgroup and bootId
        std::string recordedBoot;   ///< of its launch, as the record has it
        std::optional<Claim> claim; ///< none: the shim is not known
        std::optional<std::string> limitsMissing;
        bool adopted = false; ///< it ran under a daemon before us
    };

    RunningAttempt(const Launcher& launcher, Start start);

    [[nodiscard]] Phase phase() const { return _phase; }

    /// The shim was asked to end the stage.
    void stop(std::chrono::milliseconds grace);

    /// From now on its processes are killed.
    void killNow();

    /// Its shim was stopped (SIGSTOP), and continued.
    void shimStopped() { _stopped = true; }

    /// Its shim has put a held.json there: it is looked at soon.
    void heldSeen();

    /// Looks at held.json. May make the stage unkillable.
    void checkHeld();

    /// Its shim is gone: finds out how the attempt ended, or that it is lost. What it told us counts before any file.
    void shimEnded(const ShimEnd& end);

    /// Its shim is lost, for the reason `why` (empty: not known).
    void lose(const std::string& why);

    /// When proceed() is to be called; none: not before something happens.
    [[nodiscard]] std::optional<Clock::time_point> deadline() const;

    /// Does what is due. `shim`: its shim, where it is watched.
    void proceed(const Shim* shim);

    /// What is known of its shim.
    [[nodiscard]] const std::optional<Claim>& claim() const { return _start.claim; }

    /// Set in Ended.
    [[nodiscard]] const Finished& end() const { return _end; }

    [[nodiscard]] const std::optional<UnkillableStage>& unkillable() const { return _unkillable; }

    /// The same, once.
    [[nodiscard]] std::optional<UnkillableStage> takeReport();

private:
    void killProcesses(const Shim* shim);
    void killShim(const Shim* shim);
    void setOverdueAt();
    void remindShim(const Shim* shim);
    void sweep();
    [[nodiscard]] std::vector<ProcessInfo> living() const;
    void setUnkillable(const std::vector<ProcessInfo>& processes,
                       const std::optional<Held>& held = std::nullopt);
    void finish(Outcome outcome, bool rebooted = false);
    [[nodiscard]] Outcome withoutOutcome(Cause cause, const std::string& message) const;

    const Launcher& _launcher;
    Start _start;
    Phase _phase = Phase::Running;
    std::optional<Clock::time_point> _look; ///< at held.json, until it is Lost
    std::optional<Clock::time_point>
        _shimDue; ///< Stopping, Killing, overdue: when its shim is killed
    std::optional<Clock::time_point> _overdueAt; ///< Running: when its shim should have ended it
    bool _overdue = false;                       ///< its shim did not
    bool _stopped = false;                       ///< its shim was, at least once
    Clock::time_point _nextKill;                 ///< Killing, Lost
    Clock::time_point _sweepEnds;                ///< Lost: what is there then is unkillable
    Clock::time_point _looked;                   ///< at held.json, the last time
    std::string _why;                            ///< Lost: how that came, where known
    std::optional<UnkillableStage> _unkillable;
    bool _reported = false; ///< takeReport() has returned it
    Finished _end;
};

} // namespace agent
