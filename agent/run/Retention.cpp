#include "agent/run/Retention.h"

#include "agent/os/Journal.h"
#include "agent/run/Caches.h"
#include "agent/run/ClockState.h"
#include "agent/run/Workspaces.h"
#include "agent/store/ArtifactSets.h"
#include "agent/store/Submissions.h"
#include "agent/store/TakenSets.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace agent
{

namespace
{

// In one batch: a few milliseconds.
constexpr int runsAtOnce = 20;
constexpr int foldersAtOnce = 100;

constexpr TimeMs day = 86'400'000;

/// When a workspace is looked at again that was held.
constexpr std::int64_t heldAgain = 10'000;

/// What is more than the agent's own pauses.
constexpr TimeMs leap = 60'000;

constexpr const char* tooOld = "older than workspace.keep";

std::string removedText(const std::string& what, const std::string& runId, const std::string& why)
{
    return what + " of run " + runId + " removed: " + why;
}

/// Where nobody can tell, the clock is believed.
bool isSynchronised()
{
    return clockIsSynchronised().value_or(true);
}

/// Clients of the event stream that reconnect later than this are not told of a deletion.
constexpr TimeMs deletionsKept = 30 * day;

/// Where to go on from; from the beginning where the clock was set back beyond the place.
EndedPlace from(const EndedPlace& place, TimeMs now)
{
    return place.at > now ? EndedPlace{} : place;
}

struct Leap
{
    TimeMs from = 0; ///< the last change before it
    TimeMs by = 0;
};

/// The pause of more than a day that ended in the last day: a start after it does not make the clock any more
/// credible. It can only lie before the first change of that day, which is found by halving the record.
std::optional<Leap> leapOfLastDay(History& history, TimeMs now)
{
    std::int64_t older = 0; // the last change that is known to be older than a day
    for (std::int64_t end = history.lastSeq(); older < end;)
    {
        const std::int64_t middle = older + (end - older) / 2;
        const auto next = history.after(middle, 1);
        if (next.empty() || now - next.front().at <= day)
            end = middle;
        else
            older = next.front().seq;
    }
    const auto around = history.after(older - 1, 2);
    if (older == 0 || around.empty() || around.front().seq != older)
        return std::nullopt;
    const TimeMs from = around.front().at;
    const TimeMs to = around.size() > 1 ? around.back().at : now;
    return to - from > day ? std::optional(Leap{.from = from, .by = to - from}) : std::nullopt;
}

std::optional<std::int64_t> moreAfter(std::size_t found, int limit)
{
    return found == static_cast<std::size_t>(limit) ? std::optional<std::int64_t>(0) : std::nullopt;
}

} // namespace

const std::set<TimerKind> Retention::kinds{TimerKind::RunRetention, TimerKind::WorkspaceRetention,
                                           TimerKind::LogRetention, TimerKind::ArtifactRetention};

void Retention::apply(Batch& batch)
{
    noteEnds(batch);
    if (batch.retentionDue.empty())
        return;
    const TimeMs now = believedNow();
    batch.history.forgetDeletions(now - deletionsKept);
    const auto work = [&](TimerKind kind, auto part)
    {
        if (!batch.retentionDue.contains(kind))
            return;
        if (const auto next = (this->*part)(batch, now))
            batch.afterCommit.push_back([this, kind, delay = *next]
                                        { _timers.set({kind}, delay); });
    };
    work(TimerKind::RunRetention, &Retention::removeRuns);
    work(TimerKind::WorkspaceRetention, &Retention::removeWorkspaces);
    work(TimerKind::LogRetention, &Retention::compressLogs);
    work(TimerKind::ArtifactRetention, &Retention::removeArtifacts);
}

/// What ended in this batch is younger than all that waits already: it needs a timer only where none is
/// set. A clock that was set back leaves it behind the place that was reached: the place goes back too.
void Retention::noteEnds(Batch& batch)
{
    const auto back = [&batch](EndedPlace& place, TimeMs at)
    {
        if (at <= place.at)
            batch.afterCommit.push_back([&place, at] { place = {at - 1, ""}; });
    };
    // Which of them expires first is a look at the record.
    if (batch.artifactsKept)
        batch.retentionDue.insert(TimerKind::ArtifactRetention);
    if (batch.runEndedAt)
    {
        if (tooManyRuns(batch) > 0)
            batch.retentionDue.insert(TimerKind::RunRetention);
        setUnlessPending(batch, TimerKind::RunRetention, _policy.runsMs);
        setUnlessPending(batch, TimerKind::WorkspaceRetention, _policy.workspaceMs);
        back(_workspaces, *batch.runEndedAt);
    }
    if (batch.stageEndedAt)
    {
        setUnlessPending(batch, TimerKind::LogRetention, _policy.plainLogsMs);
        back(_logs, *batch.stageEndedAt);
    }
}

void Retention::setUnlessPending(Batch& batch, TimerKind kind, std::int64_t delayMs)
{
    if (delayMs > 0 && !batch.retentionDue.contains(kind) && !_timers.pending(kind))
        batch.afterCommit.push_back([this, kind, delayMs] { _timers.set({kind}, delayMs); });
}

std::int64_t Retention::tooManyRuns(Batch& batch) const
{
    return _policy.runsCount > 0 ? EndedRuns(batch.connection).count() - _policy.runsCount : 0;
}

TimeMs Retention::wallAhead()
{
    using namespace std::chrono;
    return nowMs() - duration_cast<milliseconds>(Clock::now().time_since_epoch()).count();
}

void Retention::begin(Batch& batch)
{
    const TimeMs now = nowMs();
    const auto last = batch.history.lastAt();
    const TimeMs away = last ? now - *last : 0;
    if (away > leap && (away > day || !isSynchronised()))
        _clockAhead -= away; // as if it had stood still since
    const auto doubted = leapOfLastDay(batch.history, now);
    if (!doubted)
        return;
    if (away <= day)
        _clockAhead -= doubted->by;
    batch.afterCommit.push_back(
        [from = doubted->from]
        {
            journal::warn("no change is on record for more than a day after " + formatTime(from) +
                          ": in case the clock is wrong, nothing is removed for its age in "
                          "the next 24 hours");
        });
}

TimeMs Retention::believedNow()
{
    const TimeMs ahead = wallAhead();
    if (ahead <= _clockAhead + leap)
        _doubtedSince.reset();
    else if (!_doubtedSince)
        _doubtedSince = Clock::now();
    if (!_doubtedSince ||
        (Clock::now() - *_doubtedSince >= std::chrono::milliseconds(day) && isSynchronised()))
        _clockAhead = ahead;
    return nowMs() - ahead + _clockAhead;
}

void Retention::remove(Batch& batch, const Run& run, const std::string& actor,
                       const std::string& reason)
{
    _kept.discard(batch, run.id);
    batch.remove(run);
    batch.history.forgetRun(run.id);
    batch.history.append({.at = nowMs(),
                          .runId = run.id,
                          .actor = actor,
                          .from = std::string(toString(run.status)),
                          .reason = reason});
    batch.changedRuns.insert(run.id);
    if (TakenSets(batch.connection).holdsRun(run.id))
        return; // its folders go with the end of the attempt that holds them: Needs
    batch.afterCommit.push_back(
        [this, id = run.id]
        {
            _cleanup.discard(_state.run(id));
            _cleanup.discardArtifacts(_state.artifactSets(id));
        });
}

std::optional<std::int64_t> Retention::removeRuns(Batch& batch, TimeMs now)
{
    const std::int64_t tooMany = _policy.runsCount > 0
                                     ? EndedRuns(batch.connection).count() - _policy.runsCount
                                     : std::int64_t{0};
    if (_policy.runsMs == 0 && tooMany <= 0)
        return std::nullopt;
    const auto oldest = EndedRuns(batch.connection).removable(runsAtOnce);
    std::int64_t removed = 0;
    std::optional<std::int64_t> next = moreAfter(oldest.size(), runsAtOnce);
    for (const auto& run : oldest)
    {
        const std::int64_t left = *run.endedAt + _policy.runsMs - now;
        const bool old = _policy.runsMs > 0 && left <= 0;
        if (!old && removed >= tooMany)
        {
            next = _policy.runsMs > 0 ? std::optional(left) : std::nullopt;
            break;
        }
        const std::string why = old ? "older than runs.keep" : "more than runs.keep_count";
        remove(batch, run, "agent", why);
        batch.afterCommit.push_back([line = "run " + run.id + " of " + formatTime(*run.endedAt) +
                                            " removed: " + why] { journal::info(line); });
        ++removed;
    }
    // A younger key still tells a client that repeats its request what became of the run.
    if (removed > 0)
        Submissions(batch.connection).forget(now - day);
    return next;
}

std::optional<std::int64_t> Retention::removeWorkspaces(Batch& batch, TimeMs now)
{
    if (_policy.workspaceMs == 0)
        return std::nullopt;
    EndedPlace place = from(_workspaces, now);
    const auto runs = EndedRuns(batch.connection).runs(place, foldersAtOnce);
    std::optional<std::int64_t> next = moreAfter(runs.size(), foldersAtOnce);
    for (const auto& run : runs)
    {
        const std::int64_t left = *run.endedAt + _policy.workspaceMs - now;
        if (left > 0)
        {
            next = left;
            break;
        }
        if (_caches.holds(run.id)) // it is read for its caches
        {
            next = heldAgain;
            break;
        }
        place = {*run.endedAt, run.id};
        _kept.discard(batch, run.id, removedText("kept workspace", run.id, tooOld));
        batch.afterCommit.push_back(
            [this, id = run.id]
            {
                if (std::error_code error; std::filesystem::exists(_state.workspace(id), error))
                    journal::info(removedText("workspace", id, tooOld));
                _cleanup.discard(_state.workspace(id));
                _cleanup.discard(_state.home(id));
            });
    }
    batch.afterCommit.push_back([this, place] { _workspaces = place; });
    return next;
}

bool Retention::makeRoom(Batch& batch, const std::string& why)
{
    constexpr int workspacesAtOnce = 5;
    if (!_cleanup.idle())
        return true;
    EndedPlace place = _workspaces;
    int found = 0;
    bool held = false; // one that is read for its caches: the place stays before it, the others go
    for (const auto& run : EndedRuns(batch.connection).runs(place, foldersAtOnce))
    {
        if (found == workspacesAtOnce)
            break;
        held = held || _caches.holds(run.id);
        if (_caches.holds(run.id))
            continue;
        if (!held)
            place = {*run.endedAt, run.id};
        std::error_code error;
        const bool keptOne = !_kept.keptFor(batch, run.id).empty();
        if (!keptOne && !std::filesystem::exists(_state.workspace(run.id), error))
            continue;
        ++found;
        _kept.discard(batch, run.id, removedText("kept workspace", run.id, why));
        batch.afterCommit.push_back(
            [this, id = run.id, why]
            {
                _cleanup.discard(_state.workspace(id), removedText("workspace", id, why));
                _cleanup.discard(_state.home(id));
            });
    }
    const bool moved = found > 0 || place.id != _workspaces.id;
    batch.afterCommit.push_back([this, place] { _workspaces = place; });
    return moved || removeHalfOldArtifacts(batch, why);
}

/// Those past half of their time, as they expire next.
bool Retention::removeHalfOldArtifacts(Batch& batch, const std::string& why)
{
    constexpr int setsAtOnce = 5;
    const TimeMs now = believedNow();
    ArtifactSets sets(batch.connection);
    int found = 0;
    for (const ArtifactSet& set : sets.byExpiry(foldersAtOnce))
    {
        if (found == setsAtOnce)
            break;
        if (now < set.createdAt + (*set.expiresAt - set.createdAt) / 2 ||
            TakenSets(batch.connection).holdsSet(set.runId, set.stageId, set.attempt))
            continue;
        ++found;
        removeSet(batch, sets, set, why);
    }
    return found > 0;
}

void Retention::removeSet(Batch& batch, ArtifactSets& sets, const ArtifactSet& set,
                          const std::string& why)
{
    sets.remove(set.stageId, set.attempt);
    batch.changedRuns.insert(set.runId);
    const bool held = TakenSets(batch.connection).holdsSet(set.runId, set.stageId, set.attempt);
    batch.afterCommit.push_back(
        [this, set, why, held]
        {
            journal::info(
                "artifacts '" + set.name + "' of run " + set.runId + " removed, " +
                std::to_string(set.bytes) + " bytes: " + why +
                (held ? "; from the disk when the stage that was given them has ended" : ""));
            if (!held) // else Needs does it then
                _cleanup.discardArtifacts(_state.artifactSet(set.runId, set.stageId, set.attempt));
        });
}

std::optional<std::int64_t> Retention::compressLogs(Batch& batch, TimeMs now)
{
    if (_policy.plainLogsMs == 0)
        return std::nullopt;
    EndedPlace place = from(_logs, now);
    const auto stages = EndedRuns(batch.connection).stages(place, foldersAtOnce);
    std::optional<std::int64_t> next = moreAfter(stages.size(), foldersAtOnce);
    for (const auto& stage : stages)
    {
        const std::int64_t left = stage.updatedAt + _policy.plainLogsMs - now;
        if (left > 0)
        {
            next = left;
            break;
        }
        place = {stage.updatedAt, stage.id};
        batch.afterCommit.push_back([this, stage]
                                    { _cleanup.compressLogs(_state.stage(stage), stage.attempt); });
    }
    batch.afterCommit.push_back([this, place] { _logs = place; });
    return next;
}

std::optional<std::int64_t> Retention::removeArtifacts(Batch& batch, TimeMs now)
{
    ArtifactSets sets(batch.connection);
    // Mostly it was a new one that brought us here, and none is due.
    const auto first = sets.byExpiry(1);
    if (first.empty())
        return std::nullopt;
    if (const std::int64_t left = *first.front().expiresAt - now; left > 0)
        return left;
    const auto soonest = sets.byExpiry(foldersAtOnce);
    for (const ArtifactSet& set : soonest)
    {
        if (const std::int64_t left = *set.expiresAt - now; left > 0)
            return left;
        removeSet(batch, sets, set, "older than artifacts.keep");
    }
    return moreAfter(soonest.size(), foldersAtOnce);
}

} // namespace agent
