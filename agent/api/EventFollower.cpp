#include "agent/api/Follower.h"
#include "agent/api/Json.h"

#include <algorithm>
#include <map>

namespace agent
{

namespace
{

/// Pieces of some 16 KiB.
constexpr int turnPieces = 16;

void append(std::string& out, std::string_view id, std::string_view event, std::string_view data)
{
    if (!id.empty())
        out.append("id: ").append(id).append("\n");
    out.append("event: ").append(event).append("\ndata: ").append(data).append("\n\n");
}

} // namespace

Follower::Progress EventFollower::pump(ClientSocket& socket)
{
    std::string out;
    if (!_begun)
        begin(out);
    socket.send(out);
    int pieces = 0;
    while (!socket.blocked() && !socket.gone())
    {
        if (++pieces > turnPieces)
            return Progress::More;
        // A stage's last lines come before the news that it ended.
        if (_place.log && tellLines(socket, _parts.runs.newest() > _place.seq))
            continue;
        out.clear();
        if (!tellChanges(out))
            return Progress::Waits;
        socket.send(out);
    }
    return Progress::Waits;
}

void EventFollower::begin(std::string& out)
{
    _begun = true;
    const std::int64_t newest = _parts.runs.newest();
    const bool resumes = _wish.after && _wish.after->seq <= newest;
    _place.seq = resumes ? _wish.after->seq : std::min(_wish.since, newest);
    if (_wish.logs)
    {
        const auto run = _parts.runs.get(_wish.runId);
        const Stage* stage = run->stage(_wish.stageId);
        if (resumes && _wish.after->log)
            _place.log = _wish.after->log;
        else if (stage != nullptr)
            _place.log = EventPlace::Log{.ordinal = stage->ordinal,
                                         .place = _wish.linesAfter.value_or(
                                             LogPlace{.attempt = std::max(1, stage->attempt)})};
        else
            _place.log = EventPlace::Log{};
    }
    out += "retry: 1000\n\n";
    if (_wish.resumes && !resumes)
        append(out, "", "gap", "{}");
    if (!resumes)
        tellState(out);
    // An event without data is none, but its id counts: a client that loses its connection before the
    // first event comes back to this place.
    out += "id: " + _place.text() + "\n\n";
}

void EventFollower::tellState(std::string& out) const
{
    if (_wish.runId.empty())
        return;
    const auto run = _parts.runs.get(_wish.runId);
    if (_wish.stageId.empty() && !run->gone)
        append(out, "", "run", run->json);
    for (const auto& stage : run->stages)
        if (_wish.stageId.empty() || stage.id == _wish.stageId)
            append(out, "", "stage", stageEventJson(stage));
}

bool EventFollower::sees(const FollowedRuns::Change& change)
{
    // A client learns of deletions of the last so many runs that it was told of.
    constexpr std::size_t mostSeen = 10'000;
    if (!_wish.caller.narrowed())
        return true;
    const auto run = _parts.runs.get(change.runId);
    if (run->gone)
        return _seen.contains(change.runId);
    if (!_wish.caller.sees(run->run))
        return false;
    if (_seen.size() >= mostSeen)
        _seen.clear();
    _seen.insert(change.runId);
    return true;
}

bool EventFollower::concerns(const FollowedRuns::Change& change)
{
    if (!_wish.runId.empty() && change.runId != _wish.runId)
        return false;
    if (_wish.runId.empty() && !sees(change))
        return false;
    if (_wish.stageId.empty() || change.stageId == _wish.stageId)
        return true;
    return change.stageId.empty() && _parts.runs.get(change.runId)->gone;
}

/// Returns whether there was anything to look at.
bool EventFollower::tellChanges(std::string& out)
{
    const auto changes = _parts.runs.after(_place.seq);
    if (changes.empty())
        return false;
    // Each event shows how things stand now, so of several changes of one thing the last is told.
    std::map<std::pair<std::string, std::string>, std::int64_t> last;
    for (const auto& change : changes)
        last[{change.runId, change.stageId}] = change.seq;
    for (const auto& change : changes)
    {
        if (!concerns(change) || last[{change.runId, change.stageId}] != change.seq)
            continue;
        _place.seq = change.seq;
        const auto ofRun = last.find({change.runId, ""});
        tellChange(out, change, ofRun != last.end() && ofRun->second > change.seq);
    }
    _place.seq = changes.back().seq;
    return true;
}

void EventFollower::tellChange(std::string& out, const FollowedRuns::Change& change,
                               bool runFollows) const
{
    const auto run = _parts.runs.get(change.runId);
    const std::string id = _place.text();
    const Stage* stage = run->stage(change.stageId);
    if (run->gone || (stage == nullptr && !change.stageId.empty()))
        return append(out, id, "deleted", deletedJson(change.runId, change.stageId));
    if (stage == nullptr)
        return append(out, id, "run", run->json);
    // What a stage found out, as the commit, is a change of its run without an entry of its own. Without
    // an id: a client that got no more than this one gets both again.
    if (stage->ended() && _wish.stageId.empty() && !runFollows)
        append(out, "", "run", run->json);
    append(out, id, "stage", stageEventJson(*stage));
}

/// Sends lines from the place on, `onlyOver`: only of attempts that have ended.
/// Returns whether it got any further.
bool EventFollower::tellLines(ClientSocket& socket, bool onlyOver)
{
    const auto run = _parts.runs.get(_wish.runId);
    auto& at = *_place.log;
    const auto found =
        std::find_if(run->stages.begin(), run->stages.end(),
                     [&](const Stage& stage) { return stage.ordinal == at.ordinal; });
    const Stage* stage = found == run->stages.end() ? nullptr : &*found;
    if (stage != nullptr && stage->attempt >= at.place.attempt)
    {
        const bool over = attemptOver(*stage, at.place.attempt);
        if (onlyOver && !over)
            return false;
        if (!_log)
            _log = _parts.logs.open(_parts.state.attempt(*stage, at.place.attempt));
        const auto& block =
            _log->events(at.place.line, over, _place.prefix(), stage->id, at.place.attempt);
        if (!block.text.empty())
        {
            at.place.line = block.line;
            socket.send(block.text);
            return true;
        }
        if (!over)
            return false;
    }
    return nextLog(*run, stage);
}

/// Goes on with the next attempt, or with the next stage that has one.
bool EventFollower::nextLog(const FollowedRun& run, const Stage* stage)
{
    auto& at = *_place.log;
    if (stage != nullptr && stage->attempt > at.place.attempt)
        at.place = {.attempt = at.place.attempt + 1};
    else
    {
        if (!_wish.stageId.empty())
            return false;
        const auto next = std::find_if(run.stages.begin(), run.stages.end(),
                                       [&](const Stage& later)
                                       { return later.ordinal > at.ordinal && later.attempt > 0; });
        if (next == run.stages.end())
            return false;
        at = {.ordinal = next->ordinal, .place = {}};
    }
    _log.reset();
    return true;
}

} // namespace agent
