#include "agent/run/Executions.h"

#include "agent/model/Timestamp.h"
#include "agent/os/ProcessStat.h"
#include "agent/process/AttemptFolder.h"

#include <algorithm>
#include <chrono>
#include <system_error>

namespace agent
{

namespace
{

using Clock = RunningAttempt::Clock;

/// Milliseconds until `at`; rounded up, or the last one would be spun away.
std::int64_t untilMs(Clock::time_point at)
{
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(at - Clock::now());
    return std::max<std::int64_t>(0, left.count());
}

/// What a shim that we have just started will claim, as far as we know it: its own words stand where its stage
/// could change them.
std::optional<Claim> claimOf(const Shim& shim, const Order& order)
{
    // Where /proc does not show it, it is none of those that it shows.
    const auto stat = processStat(shim.pid);
    return Claim{.pid = shim.pid,
                 .startTime = stat ? stat->startTime : shim.handedTicks,
                 .bootId = order.bootId,
                 .startedAt = nowMs(),
                 .beganTicks = shim.handedTicks};
}

} // namespace

void Executions::launch(const std::filesystem::path& folder, const Order& order,
                        const SecretFolder& secrets)
{
    auto prepared = _preparer.take(folder, order, secrets);
    if (const auto* refusal = std::get_if<LaunchRefusal>(&prepared))
    {
        refuse(order.stageId, order.attempt, refusal->cause, refusal->message);
        return;
    }
    Shim shim;
    try
    {
        shim = _launcher.start(std::move(std::get<PreparedLaunch>(prepared)));
    }
    catch (const std::exception& error)
    {
        const auto refusal = refusalOf(error);
        refuse(order.stageId, order.attempt, refusal.cause, refusal.message);
        return;
    }
    _launched = true;
    RunningAttempt::Start start{.folder = folder,
                                .order = order,
                                .recordedBoot = order.bootRecorded ? order.bootId : std::string(),
                                .limitsMissing = shim.missingLimits};
    start.order.cgroup = shim.cgroup;
    if (start.order.bootId.empty())
        start.order.bootId = bootId(); // as Launcher::prepare() does
    start.claim = claimOf(shim, order);
    watch(std::move(start), std::move(shim));
}

void Executions::refuse(const std::string& stageId, int attempt, Cause cause,
                        const std::string& message)
{
    Outcome outcome;
    outcome.cause = cause;
    outcome.message = message;
    outcome.startedAt = outcome.endedAt = nowMs(); // it never ran: its time is a point
    _finished.push_back({.stageId = stageId, .attempt = attempt, .outcome = outcome});
    wake();
}

/// A shim that can't be watched is one that we lost.
void Executions::watch(RunningAttempt::Start start, Shim shim)
{
    const std::string stageId = start.order.stageId;
    const auto folder = start.folder;
    const int pid = shim.pid;
    auto& attempt = add(std::move(start));
    try
    {
        _watch.add(stageId, std::move(shim), folder);
        checkHeld(stageId); // it may have said so before we began to watch
    }
    catch (const std::exception& error)
    {
        _launcher.shimEnded(pid); // for us: it is ended with what is left of the attempt
        attempt.lose(error.what());
        wake();
    }
}

bool Executions::resume(const std::string& stageId, int attempt,
                        const std::filesystem::path& folder, const RecordedLaunch& recorded,
                        std::int64_t graceMs, bool stopping)
{
    RunningAttempt::Start start{.folder = folder, .recordedBoot = recorded.bootId};
    Attempt found;
    std::string problem;
    try
    {
        found = _launcher.find(folder, recorded.bootId, recorded.seal);
        const auto order = AttemptFolder(folder, recorded.seal).order();
        start.order = order.value_or(Order());
        start.claim = found.claim;
        if (found.state == Attempt::State::Running && order)
            start.limitsMissing = Launcher::limitAgain(*order);
    }
    catch (const std::exception& error)
    {
        problem =
            error.what(); // a folder that the stage spoilt must not keep the daemon from starting
    }
    const bool unclear = found.state == Attempt::State::NeverRan || !problem.empty();
    if (unclear && recorded.shim)
    {
        start.claim = recorded.shim;
        if (Shim shim = Launcher::living(*recorded.shim); shim.pidfd.valid())
        {
            // It runs, whatever has become of its folder.
            found.state = Attempt::State::Running;
            found.shim = std::move(shim);
            problem.clear();
        }
    }
    // A shim opens its log when it starts the command: where one is, the claim was taken away.
    const bool untouched = found.state == Attempt::State::NeverRan && problem.empty() &&
                           !recorded.shim && !std::filesystem::exists(folder / files::log);
    if (untouched)
        return false;
    if (start.order.stageId.empty())
    {
        // The order can't be believed: this is enough to find the attempt's processes.
        start.order.runId = folder.parent_path().parent_path().filename();
        start.order.bootId = recorded.bootId;
        start.order.env["STAGE_ATTEMPT"] = std::to_string(attempt);
    }
    start.order.stageId = stageId;
    start.order.attempt = attempt;
    start.order.seal = recorded.seal;
    start.adopted = true;
    if (start.order.timeoutMs == 0)
        start.order.timeoutMs = recorded.timeoutMs;
    if (start.order.graceMs == 0)
        start.order.graceMs = graceMs;
    if (problem.empty() && found.state == Attempt::State::Running)
    {
        Launcher::resume(found.shim); // it may have been stopped while there was no daemon
        watch(std::move(start), std::move(found.shim));
        if (stopping)
            stop(stageId, graceMs);
        return true;
    }
    auto& adopted = add(std::move(start));
    if (!problem.empty() || found.state == Attempt::State::NeverRan)
        adopted.lose(problem.empty() ? "its claim was removed" : problem);
    else
        adopted.shimEnded({.key = stageId});
    wake();
    return true;
}

RunningAttempt& Executions::add(RunningAttempt::Start&& start)
{
    const std::string stageId = start.order.stageId;
    _running.erase(stageId);
    return _running.try_emplace(stageId, _launcher, std::move(start)).first->second;
}

RunningAttempt* Executions::find(const std::string& stageId)
{
    const auto found = _running.find(stageId);
    return found == _running.end() ? nullptr : &found->second;
}

void Executions::checkHeld(const std::string& stageId)
{
    auto* attempt = find(stageId);
    if (!attempt)
        return;
    attempt->checkHeld();
    if (attempt->unkillable())
        wake(); // for takeUnkillable()
}

void Executions::stop(const std::string& stageId, std::int64_t graceMs)
{
    auto* attempt = find(stageId);
    const Shim* shim = _watch.find(stageId);
    if (!attempt || !shim)
        return; // it ended in this very moment; wait() tells
    Launcher::stop(*shim);
    attempt->stop(std::chrono::milliseconds(graceMs));
}

void Executions::killNow(const std::string& stageId)
{
    if (auto* attempt = find(stageId))
        attempt->killNow();
}

void Executions::forget(const Finished& finished)
{
    Launcher::removeCgroup(finished.cgroup);
    std::error_code ignored; // of a folder that is gone
    if (!finished.folder.empty())
        std::filesystem::remove(finished.folder / files::mask, ignored);
}

std::optional<Claim> Executions::shimOf(const std::string& stageId) const
{
    const auto found = _running.find(stageId);
    return found == _running.end() ? std::nullopt : found->second.claim();
}

std::vector<UnkillableStage> Executions::takeUnkillable()
{
    std::vector<UnkillableStage> found;
    for (auto& [stageId, attempt] : _running)
        if (auto report = attempt.takeReport())
            found.push_back(std::move(*report));
    return found;
}

std::optional<UnkillableStage> Executions::unkillable(const std::string& stageId) const
{
    const auto found = _running.find(stageId);
    return found == _running.end() ? std::nullopt : found->second.unkillable();
}

std::vector<UnkillableStage> Executions::allUnkillable() const
{
    std::vector<UnkillableStage> all;
    for (const auto& [stageId, attempt] : _running)
        if (attempt.unkillable())
            all.push_back(*attempt.unkillable());
    return all;
}

std::vector<Finished> Executions::wait(std::optional<std::int64_t> timeoutMs)
{
    if (std::exchange(_launched, false))
        _launcher.refill(); // now, as the stage is at work: not on the way to its start
    if (!_finished.empty())
        timeoutMs = 0;
    for (const auto& [stageId, attempt] : _running)
        if (const auto deadline = attempt.deadline())
            timeoutMs = std::min(timeoutMs.value_or(INT64_MAX), untilMs(*deadline));

    for (const auto& end : _watch.wait(timeoutMs))
    {
        _launcher.shimEnded(end.pid);
        if (auto* attempt = find(end.key))
            attempt->shimEnded(end);
    }
    for (const auto& stageId : _watch.takeStopped())
        if (auto* attempt = find(stageId))
            attempt->shimStopped();
    for (const auto& stageId : _watch.takeHeld())
        if (auto* attempt = find(stageId))
            attempt->heldSeen();

    for (auto at = _running.begin(); at != _running.end();)
    {
        auto& [stageId, attempt] = *at;
        if (const auto deadline = attempt.deadline(); deadline && *deadline <= Clock::now())
            attempt.proceed(_watch.find(stageId));
        const bool ended = attempt.phase() == RunningAttempt::Phase::Ended;
        if (ended)
            _finished.push_back(attempt.end());
        at = ended ? _running.erase(at) : std::next(at);
    }
    return std::exchange(_finished, {});
}

} // namespace agent
