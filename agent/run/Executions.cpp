#include "agent/run/Executions.h"

#include "agent/model/Timestamp.h"
#include "agent/process/AttemptFolder.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <system_error>

#include <unistd.h>

namespace agent
{

namespace
{

/// A shim that was told to stop answers within its grace; this long after it, it is not going to.
constexpr std::int64_t stopMarginMs = 5000;

/// What a lost shim left is killed every so often until none is left. After so long it counts as unkillable,
/// and is tried less often: a process in the kernel's D state can't be ended by anyone.
constexpr std::int64_t sweepEveryMs = 50;
constexpr std::int64_t sweepAtMostMs = 10'000;
constexpr std::int64_t sweepUnkillableEveryMs = 1000;

/// Anybody's stage may write held.json, as often as it likes: each look is a walk over /proc. One that does
/// not hold yet is looked at again.
constexpr std::int64_t heldLookEveryMs = 1000;
constexpr std::int64_t heldLookAgainMs = 5000;

std::int64_t monotonicMs()
{
    using namespace std::chrono;
    return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

/// How long ago the attempt of `claim` began, by CLOCK_BOOTTIME.
std::int64_t ageMs(const Claim& claim)
{
    timespec sinceBoot{};
    ::clock_gettime(CLOCK_BOOTTIME, &sinceBoot);
    const std::int64_t now = sinceBoot.tv_sec * 1000 + sinceBoot.tv_nsec / 1'000'000;
    const auto started = static_cast<std::int64_t>(claim.began()) * 1000 / ::sysconf(_SC_CLK_TCK);
    return std::max<std::int64_t>(0, now - started);
}

Outcome endWithoutOutcome(Cause cause, const std::optional<Claim>& claim,
                          const std::string& message)
{
    Outcome outcome;
    outcome.cause = cause;
    outcome.endedAt = nowMs();
    if (claim && cause == Cause::ShimLost)
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
    outcome.message = message;
    return outcome;
}

std::int64_t bytesOf(const std::filesystem::path& file)
{
    std::error_code error;
    const auto bytes = std::filesystem::file_size(file, error);
    return error ? 0 : static_cast<std::int64_t>(bytes);
}

} // namespace

void Executions::launch(const std::filesystem::path& folder, const Order& order,
                        const std::filesystem::path& secretsDir)
{
    Shim shim;
    try
    {
        shim = _launcher.start(_preparer.take(folder, order, secretsDir));
    }
    catch (const UnreadableSecret& error)
    {
        refuse(order.stageId, order.attempt, Cause::PluginError, error.what());
        return;
    }
    catch (const std::system_error& error)
    {
        const bool full =
            error.code() == std::errc::no_space_on_device || error.code().value() == EDQUOT;
        refuse(order.stageId, order.attempt, full ? Cause::DiskFull : Cause::SpawnError,
               error.what());
        return;
    }
    catch (const std::exception& error)
    {
        refuse(order.stageId, order.attempt, Cause::SpawnError, error.what());
        return;
    }
    _launched = true;
    _live[order.stageId] = {.attempt = order.attempt,
                            .folder = folder,
                            .bootId = order.bootRecorded ? order.bootId : std::string(),
                            .graceMs = order.graceMs,
                            .limitsMissing = shim.missingLimits};
    watch(order.stageId, std::move(shim));
}

void Executions::refuse(const std::string& stageId, int attempt, Cause cause,
                        const std::string& message)
{
    Outcome outcome = endWithoutOutcome(cause, std::nullopt, message);
    outcome.startedAt = outcome.endedAt; // it never ran: its time is a point
    _finished.push_back({.stageId = stageId, .attempt = attempt, .outcome = outcome});
    wake();
}

/// A shim that can't be watched is one that we lost.
void Executions::watch(const std::string& stageId, Shim shim)
{
    try
    {
        _watch.add(stageId, std::move(shim), _live.at(stageId).folder);
        checkHeld(stageId); // it may have said so before we began to watch
    }
    catch (const std::exception& error)
    {
        lose(stageId, error.what());
    }
}

void Executions::checkHeld(const std::string& stageId)
{
    const auto found = _live.find(stageId);
    if (found == _live.end() || found->second.unkillable)
        return;
    Live& live = found->second;
    live.heldSeenMs = monotonicMs();
    live.heldLookMs = 0;
    const AttemptFolder folder(live.folder);
    auto held = folder.held();
    if (!held)
        return;
    const auto claim = folder.claim();
    held->since = std::clamp(held->since, claim ? std::min(claim->startedAt, nowMs()) : 0, nowMs());
    if (const auto left = livingIn(live.folder); heldByKernel(left))
        reportUnkillable(stageId, live, left, held);
    else
        live.heldLookMs = live.heldSeenMs + heldLookAgainMs;
}

/// Ends what is left of the stage, in steps, and says so.
void Executions::lose(const std::string& stageId, const std::string& why)
{
    Live& live = _live.at(stageId);
    live.sweepUntilMs = monotonicMs() + sweepAtMostMs;
    live.why = why;
    sweep(stageId, live);
}

bool Executions::resume(const std::string& stageId, int attempt,
                        const std::filesystem::path& folder, const std::string& bootId,
                        std::int64_t graceMs, bool stopping)
{
    Attempt found;
    std::string problem;
    std::optional<std::string> limitsMissing;
    try
    {
        found = _launcher.find(folder, bootId);
        if (found.state == Attempt::State::Running)
            limitsMissing = Launcher::limitAgain(folder);
    }
    catch (const std::exception& error)
    {
        problem =
            error.what(); // a folder that the stage spoilt must not keep the daemon from starting
    }
    // A shim opens its log before it executes anything: where one is, the claim was taken away.
    const bool untouched = found.state == Attempt::State::NeverRan && problem.empty() &&
                           !std::filesystem::exists(folder / files::log);
    if (untouched)
        return false;
    _live[stageId] = {.attempt = attempt,
                      .folder = folder,
                      .bootId = bootId,
                      .graceMs = graceMs,
                      .limitsMissing = limitsMissing};
    if (!problem.empty() || found.state == Attempt::State::NeverRan)
    {
        lose(stageId, problem.empty() ? "its claim was removed" : problem);
        return true;
    }
    if (found.state != Attempt::State::Running)
    {
        ended(stageId);
        return true;
    }
    watch(stageId, std::move(found.shim));
    if (stopping)
        stop(stageId, graceMs);
    return true;
}

void Executions::stop(const std::string& stageId, std::int64_t graceMs)
{
    const auto live = _live.find(stageId);
    const Shim* shim = _watch.find(stageId);
    if (live == _live.end() || !shim)
        return; // it ended in this very moment; wait() tells
    Launcher::stop(*shim);
    live->second.killAtMs = monotonicMs() + graceMs + stopMarginMs;
}

void Executions::killNow(const std::string& stageId)
{
    if (const auto live = _live.find(stageId); live != _live.end())
        live->second.killNextMs = monotonicMs();
}

void Executions::forget(const std::filesystem::path& folder)
{
    _launcher.forget(folder);
    std::error_code ignored; // of a folder that is gone
    std::filesystem::remove(folder / files::mask, ignored);
}

std::optional<UnkillableStage> Executions::unkillable(const std::string& stageId) const
{
    const auto live = _live.find(stageId);
    return live == _live.end() ? std::nullopt : live->second.unkillable;
}

std::vector<UnkillableStage> Executions::allUnkillable() const
{
    std::vector<UnkillableStage> all;
    for (const auto& [stageId, live] : _live)
        if (live.unkillable)
            all.push_back(*live.unkillable);
    return all;
}

std::vector<Finished> Executions::wait(std::optional<std::int64_t> timeoutMs)
{
    if (std::exchange(_launched, false))
        _launcher.refill(); // now, as the stage is at work: not on the way to its start
    if (!_finished.empty())
        timeoutMs = 0;
    if (const auto timer = nextTimer())
        timeoutMs = std::min(timeoutMs.value_or(*timer), *timer);

    for (const auto& stageId : _watch.wait(timeoutMs))
        ended(stageId);
    for (const auto& stageId : _watch.takeHeld())
        if (const auto live = _live.find(stageId); live != _live.end())
            live->second.heldLookMs =
                std::max(monotonicMs(), live->second.heldSeenMs + heldLookEveryMs);

    const std::int64_t now = monotonicMs();
    std::vector<std::string> sweeping;
    std::vector<std::string> held;
    for (auto& [stageId, live] : _live)
    {
        if (live.sweepUntilMs != 0)
        {
            sweeping.push_back(stageId);
            continue;
        }
        if (live.killNextMs != 0 && now >= live.killNextMs)
            killProcesses(stageId, live);
        if (live.heldLookMs != 0 && now >= live.heldLookMs)
            held.push_back(stageId);
        if (live.killAtMs != 0 && now >= live.killAtMs)
            killShim(stageId, live);
    }
    for (const auto& stageId : held)
        checkHeld(stageId);
    for (const auto& stageId : sweeping)
        sweep(stageId, _live.at(stageId));
    return std::exchange(_finished, {});
}

void Executions::killProcesses(const std::string& stageId, Live& live)
{
    live.killNextMs = monotonicMs() + (live.unkillable ? sweepUnkillableEveryMs : sweepEveryMs);
    std::error_code ignored;
    if (std::filesystem::exists(live.folder / files::outcome, ignored))
    {
        live.killNextMs = 0; // all that is left is the shim, on its way out
        return;
    }
    try
    {
        (void)_launcher.endRemains(live.folder); // the shim tells when none is left
    }
    catch (const std::exception&)
    {
        killShim(stageId, live); // the folder was spoilt: what is left is found as a lost shim's
    }
}

/// A shim that did not end its stage in time is no good, unless nobody could: it goes on trying then, and
/// tells the true end when there is one.
void Executions::killShim(const std::string& stageId, Live& live)
{
    live.killAtMs = 0;
    if (const auto left = livingIn(live.folder); heldByKernel(left))
        reportUnkillable(stageId, live, left);
    else if (const Shim* shim = _watch.find(stageId))
        Launcher::kill(*shim);
}

void Executions::reportUnkillable(const std::string& stageId, Live& live,
                                  const std::vector<ProcessInfo>& processes,
                                  const std::optional<Held>& held)
{
    if (live.unkillable)
        return;
    live.unkillable = {.stageId = stageId,
                       .attempt = live.attempt,
                       .processes = describeUnkillable(processes),
                       .since = held ? held->since : nowMs(),
                       .ending = held ? held->ending : std::nullopt};
    _unkillable.push_back(*live.unkillable);
    wake();
}

/// The shim of `stageId` is gone: what does the disk say?
void Executions::ended(const std::string& stageId)
{
    Live& live = _live.at(stageId);
    Attempt attempt;
    try
    {
        attempt = _launcher.endOf(live.folder, live.bootId);
    }
    catch (const std::exception& error)
    {
        lose(stageId, error.what());
        return;
    }
    switch (attempt.state)
    {
    case Attempt::State::Ended:
        finish(stageId, attempt.outcome, attempt.rebooted);
        return;
    case Attempt::State::Rebooted:
        finishWithoutOutcome(stageId, Cause::HostReboot, attempt.claim,
                             "the host restarted while the stage was running");
        return;
    case Attempt::State::NeverRan:
        finish(stageId,
               endWithoutOutcome(Cause::SpawnError, std::nullopt,
                                 "the shim ended before it executed anything; is the disk full?"));
        return;
    case Attempt::State::Running: // another shim on the same folder: can't be, but must not hang us
    case Attempt::State::Lost:
        live.claim = attempt.claim;
        lose(stageId, "");
    }
}

void Executions::sweep(const std::string& stageId, Live& live)
{
    std::size_t left = 0;
    try
    {
        left = _launcher.endRemains(live.folder);
    }
    catch (const std::exception& error)
    {
        live.why = error.what(); // nothing tells us any more what belonged to it
    }
    if (left > 0)
    {
        if (!live.unkillable && monotonicMs() >= live.sweepUntilMs)
            if (const auto living = livingIn(live.folder); !living.empty())
                reportUnkillable(stageId, live, living);
        return;
    }
    finishWithoutOutcome(stageId, Cause::ShimLost, live.claim,
                         (live.why.empty() ? "the stage's shim was lost" : live.why) +
                             "; its processes were ended");
}

/// Nobody told how it ended, but what it printed is there.
void Executions::finishWithoutOutcome(const std::string& stageId, Cause cause,
                                      const std::optional<Claim>& claim, const std::string& message)
{
    Outcome outcome = endWithoutOutcome(cause, claim, message);
    outcome.logBytes = bytesOf(_live.at(stageId).folder / files::log);
    finish(stageId, outcome);
}

void Executions::finish(const std::string& stageId, const Outcome& outcome, bool rebooted)
{
    const Live& live = _live.at(stageId);
    _finished.push_back({stageId, live.attempt, outcome, live.limitsMissing, rebooted});
    _live.erase(stageId);
    wake();
}

/// Milliseconds until a shim must be killed, is looked at, or a sweep goes on.
std::optional<std::int64_t> Executions::nextTimer() const
{
    const std::int64_t now = monotonicMs();
    std::optional<std::int64_t> next;
    const auto take = [&](std::int64_t left)
    { next = std::min(next.value_or(left), std::max<std::int64_t>(0, left)); };
    for (const auto& [stageId, live] : _live)
    {
        if (live.sweepUntilMs != 0)
            take(live.unkillable ? sweepUnkillableEveryMs : sweepEveryMs);
        else
            for (const std::int64_t at : {live.killNextMs, live.heldLookMs, live.killAtMs})
                if (at != 0)
                    take(at - now);
    }
    return next;
}

} // namespace agent
