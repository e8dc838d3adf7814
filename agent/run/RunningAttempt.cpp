#include "agent/run/RunningAttempt.h"

#include "agent/model/Timestamp.h"

#include <algorithm>
#include <ctime>
#include <exception>
#include <system_error>
#include <utility>

#include <unistd.h>

namespace agent
{

namespace
{

using namespace std::chrono_literals;

/// A shim that was told to stop answers within its grace; this long after it, it is not going to.
constexpr auto stopMargin = 5s;

/// One that is reminded of its deadline may have a long log to complete.
constexpr auto overdueMargin = 30s;

constexpr auto killEvery = 50ms;
constexpr auto sweepAtMost = 10s;
constexpr auto killUnkillableEvery = 1s;

/// Each look at held.json is a walk over /proc.
constexpr auto lookEvery = 1s;
constexpr auto lookAgain = 5s;

std::int64_t millisecondsOf(clockid_t clock)
{
    timespec now{};
    ::clock_gettime(clock, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

/// How long ago the attempt of `claim` began, by CLOCK_BOOTTIME.
std::int64_t ageMs(const Claim& claim)
{
    const auto began = static_cast<std::int64_t>(claim.began()) * 1000 / ::sysconf(_SC_CLK_TCK);
    return std::max<std::int64_t>(0, millisecondsOf(CLOCK_BOOTTIME) - began);
}

/// How long the host has slept since its boot: no stage is charged for that.
std::int64_t sleptMs()
{
    return millisecondsOf(CLOCK_BOOTTIME) - millisecondsOf(CLOCK_MONOTONIC);
}

} // namespace

RunningAttempt::RunningAttempt(const Launcher& launcher, Start start)
    : _launcher(launcher), _start(std::move(start))
{
    setOverdueAt();
}

void RunningAttempt::setOverdueAt()
{
    const Order& order = _start.order;
    if (order.timeoutMs <= 0)
        return;
    const std::int64_t ran =
        _start.claim ? std::max<std::int64_t>(0, ageMs(*_start.claim) - sleptMs()) : 0;
    const std::int64_t collecting = order.collect ? order.collect->timeoutMs : 0;
    _overdueAt = Clock::now() + stopMargin +
                 std::chrono::milliseconds(order.timeoutMs + order.graceMs + collecting - ran);
}

void RunningAttempt::stop(std::chrono::milliseconds grace)
{
    _overdue = false; // what was decided counts more
    if (_phase == Phase::Running)
        _phase = Phase::Stopping;
    if (_phase != Phase::Lost)
        _shimDue = Clock::now() + grace + stopMargin;
}

void RunningAttempt::killNow()
{
    if (_phase == Phase::Lost)
        return;
    _phase = Phase::Killing;
    _nextKill = Clock::now();
}

void RunningAttempt::heldSeen()
{
    _look = std::max(Clock::now(), _looked + lookEvery);
}

void RunningAttempt::checkHeld()
{
    if (_unkillable || _phase == Phase::Lost || _phase == Phase::Ended)
        return;
    _looked = Clock::now();
    _look.reset();
    auto held = AttemptFolder(_start.folder).held();
    if (!held)
        return;
    const TimeMs began = _start.claim ? std::min(_start.claim->startedAt, nowMs()) : 0;
    held->since = std::clamp(held->since, began, nowMs());
    if (const auto left = living(); heldByKernel(left))
        setUnkillable(left, held);
    else
        _look = _looked + lookAgain;
}

void RunningAttempt::shimEnded(const ShimEnd& end)
{
    if (auto told = outcomeFrom(end.outcome))
        return finish(std::move(*told));
    Attempt found;
    std::error_code ignored; // of a folder that is gone
    try
    {
        found = _launcher.endOf(_start.folder, _start.recordedBoot, _start.order.seal);
    }
    catch (const std::exception& error)
    {
        return lose(error.what()); // a folder that the stage spoilt
    }
    switch (found.state)
    {
    case Attempt::State::Ended:
        return finish(std::move(found.outcome), found.rebooted);
    case Attempt::State::Rebooted:
        if (!_start.claim)
            _start.claim = found.claim;
        return finish(
            withoutOutcome(Cause::HostReboot, "the host restarted while the stage was running"));
    case Attempt::State::NeverRan:
        if (std::filesystem::exists(_start.folder / files::log, ignored) || _start.adopted)
            return lose("its claim was removed");
        _start.claim.reset();
        return finish(withoutOutcome(
            Cause::SpawnError, "the shim ended before it executed anything; is the disk full?"));
    case Attempt::State::Running: // another shim on the same folder: can't be, but must not hang us
    case Attempt::State::Lost:
        if (!_start.claim)
            _start.claim = found.claim;
        lose("");
    }
}

void RunningAttempt::lose(const std::string& why)
{
    _phase = Phase::Lost;
    _why = why;
    _sweepEnds = Clock::now() + sweepAtMost;
    sweep();
}

std::optional<RunningAttempt::Clock::time_point> RunningAttempt::deadline() const
{
    if (_phase == Phase::Ended)
        return std::nullopt;
    if (_phase == Phase::Lost)
        return _nextKill;
    std::optional<Clock::time_point> next;
    const auto take = [&next](Clock::time_point at) { next = std::min(next.value_or(at), at); };
    if (_phase == Phase::Killing)
        take(_nextKill);
    if (_phase == Phase::Running && _overdueAt)
        take(*_overdueAt);
    if (_shimDue)
        take(*_shimDue);
    if (_look)
        take(*_look);
    return next;
}

void RunningAttempt::proceed(const Shim* shim)
{
    const auto now = Clock::now();
    if (_phase == Phase::Lost && now >= _nextKill)
        sweep();
    if (_phase == Phase::Lost || _phase == Phase::Ended)
        return;
    if (_phase == Phase::Killing && now >= _nextKill)
        killProcesses(shim);
    if (_look && now >= *_look)
        checkHeld();
    if (_phase == Phase::Running && _overdueAt && now >= *_overdueAt)
        remindShim(shim);
    if (_shimDue && now >= *_shimDue)
        killShim(shim);
}

void RunningAttempt::killProcesses(const Shim* shim)
{
    _nextKill = Clock::now();
    _nextKill += _unkillable ? Clock::duration(killUnkillableEvery) : killEvery;
    try
    {
        if (AttemptFolder(_start.folder, _start.order.seal).outcome())
        {
            _phase = Phase::Stopping; // all that is left is the shim, on its way out
            return;
        }
        (void)Launcher::endRemains(_start.order, _start.claim); // the shim tells when none is left
    }
    catch (const std::exception&)
    {
        killShim(shim); // what is left is found as a lost shim's
    }
}

/// A shim that did not end its stage in time is no good, unless nobody could: it goes on trying then, and
/// tells the true end when there is one.
void RunningAttempt::killShim(const Shim* shim)
{
    _shimDue.reset();
    if (const auto left = living(); heldByKernel(left))
        setUnkillable(left);
    else if (shim != nullptr)
        Launcher::kill(*shim);
}

/// Its own clock tells it what to do, if it only runs.
void RunningAttempt::remindShim(const Shim* shim)
{
    _overdueAt.reset();
    if (const auto left = living(); heldByKernel(left))
        return setUnkillable(left, Held{.since = nowMs(), .ending = Cause::Timeout});
    _overdue = true;
    _shimDue = Clock::now() + std::chrono::milliseconds(_start.order.graceMs) +
               (_stopped ? Clock::duration(stopMargin) : overdueMargin);
    if (shim != nullptr)
        Launcher::resume(*shim);
}

void RunningAttempt::sweep()
{
    const auto now = Clock::now();
    _nextKill = now + (_unkillable ? Clock::duration(killUnkillableEvery) : killEvery);
    std::size_t left = 0;
    try
    {
        left = Launcher::endRemains(_start.order, _start.claim) + _launcher.endOrphans();
    }
    catch (const std::exception& error)
    {
        _why = error.what();
    }
    if (left == 0 && _overdue)
        return finish(withoutOutcome(
            Cause::Timeout, "ran past its timeout; its shim did not end it, the agent did"));
    if (left == 0)
        return finish(
            withoutOutcome(Cause::ShimLost, (_why.empty() ? "the stage's shim was lost" : _why) +
                                                "; its processes were ended"));
    if (now >= _sweepEnds)
        if (const auto there = living(); !there.empty())
            setUnkillable(there);
}

std::vector<ProcessInfo> RunningAttempt::living() const
{
    return livingOf(_start.order, _start.claim);
}

void RunningAttempt::setUnkillable(const std::vector<ProcessInfo>& processes,
                                   const std::optional<Held>& held)
{
    if (_unkillable)
        return;
    _unkillable = {.stageId = _start.order.stageId,
                   .attempt = _start.order.attempt,
                   .processes = describeUnkillable(processes),
                   .since = held ? held->since : nowMs(),
                   .ending = held ? held->ending : std::nullopt};
}

std::optional<UnkillableStage> RunningAttempt::takeReport()
{
    if (std::exchange(_reported, _unkillable.has_value()))
        return std::nullopt;
    return _unkillable;
}

void RunningAttempt::finish(Outcome outcome, bool rebooted)
{
    _phase = Phase::Ended;
    if (_stopped)
        outcome.notes.push_back(Cause::ShimStopped);
    _end = {.stageId = _start.order.stageId,
            .attempt = _start.order.attempt,
            .outcome = std::move(outcome),
            .limitsMissing = _start.limitsMissing,
            .rebooted = rebooted,
            .folder = _start.folder,
            .cgroup = _start.order.cgroup};
}

/// Nobody told how it ended, but what it printed is there.
Outcome RunningAttempt::withoutOutcome(Cause cause, const std::string& message) const
{
    const auto& claim = _start.claim;
    bool refused = false;
    try
    {
        refused = AttemptFolder(_start.folder, _start.order.seal).outcomeRefused();
    }
    catch (const std::exception&)
    {
        refused = true; // the shim makes no file that can't be read
    }
    Outcome outcome;
    outcome.cause = cause;
    outcome.message = message;
    outcome.endedAt = nowMs();
    if (claim && (cause == Cause::ShimLost || cause == Cause::Timeout))
    {
        outcome.startedAt = claim->startedAt;
        outcome.durationMs = ageMs(*claim);
        outcome.endedAt = outcome.startedAt + outcome.durationMs;
    }
    else if (claim) // else the record's own startedAt stands
    {
        outcome.startedAt = std::min(claim->startedAt, outcome.endedAt);
        outcome.durationMs = outcome.endedAt - outcome.startedAt;
    }
    std::error_code error;
    if (refused)
    {
        outcome.notes.push_back(Cause::OutcomeRefused);
        outcome.message += "; the outcome.json in its folder was not written by its shim";
    }
    const auto bytes = std::filesystem::file_size(_start.folder / files::log, error);
    outcome.logBytes = error ? 0 : static_cast<std::int64_t>(bytes);
    return outcome;
}

} // namespace agent
