#include "agent/api/FollowedRuns.h"

#include "agent/api/Json.h"
#include "agent/store/History.h"
#include "agent/store/RunStore.h"

#include <algorithm>

namespace agent
{

namespace
{

/// Enough for all who are a little behind; others read the record themselves.
constexpr std::size_t keptChanges = 2048;
constexpr std::size_t keptRuns = 256;
constexpr int pageRows = 512;

std::vector<FollowedRuns::Change> changesOf(const std::vector<HistoryEntry>& entries)
{
    std::vector<FollowedRuns::Change> changes;
    changes.reserve(entries.size());
    for (const auto& entry : entries)
        changes.push_back({.seq = entry.seq, .runId = entry.runId, .stageId = entry.stageId});
    return changes;
}

} // namespace

const Stage* FollowedRun::stage(const std::string& id) const
{
    const auto found =
        std::find_if(stages.begin(), stages.end(), [&](const Stage& s) { return s.id == id; });
    return found == stages.end() ? nullptr : &*found;
}

bool attemptOver(const Stage& stage, int attempt)
{
    return attempt < stage.attempt ||
           (attempt == stage.attempt && stage.status != Status::InProgress);
}

std::shared_ptr<const FollowedRun> FollowedRuns::get(const std::string& runId)
{
    if (const auto known = _runs.find(runId); known != _runs.end())
        return known->second;
    auto found = std::make_shared<FollowedRun>();
    {
        auto reader = _database.reader();
        RunStore store(*reader);
        // Two reads with a commit in between would give a state that never was: look again then.
        std::optional<Run> run;
        do
        {
            run = store.run(runId);
            found->stages = store.stages(runId);
        } while (run && run->version != store.run(runId).value_or(*run).version);
        found->gone = !run;
        if (run)
        {
            found->json = toApiJson(_facts ? _facts(*reader, *run) : RunFacts{*run, {}, {}});
            found->run = std::move(*run);
        }
    }
    if (_runs.size() >= keptRuns)
        _runs.clear();
    _runs[runId] = found;
    return found;
}

void FollowedRuns::changed(const std::set<std::string>& runIds)
{
    for (const auto& id : runIds)
        _runs.erase(id);
    if (_before >= 0)
        readOn();
}

void FollowedRuns::forget()
{
    _runs.clear();
    _changes.clear();
    _before = -1;
}

std::int64_t FollowedRuns::newest()
{
    if (_before < 0)
    {
        auto reader = _database.reader();
        _before = _newest = History(*reader).lastSeq();
    }
    return _newest;
}

void FollowedRuns::readOn()
{
    auto reader = _database.reader();
    History history(*reader);
    while (true)
    {
        auto changes = changesOf(history.after(_newest, pageRows));
        if (changes.empty())
            break;
        _newest = changes.back().seq;
        // Of a commit that we have not been told of yet, too: whoever is told of the change must see it.
        for (const auto& change : changes)
            _runs.erase(change.runId);
        std::move(changes.begin(), changes.end(), std::back_inserter(_changes));
    }
    while (_changes.size() > keptChanges)
    {
        _before = _changes.front().seq;
        _changes.pop_front();
    }
}

std::vector<FollowedRuns::Change> FollowedRuns::after(std::int64_t seq)
{
    if (seq >= newest())
        return {};
    if (seq < _before)
    {
        auto reader = _database.reader();
        return changesOf(History(*reader).after(seq, pageRows));
    }
    const auto first = std::find_if(_changes.begin(), _changes.end(),
                                    [seq](const Change& change) { return change.seq > seq; });
    return {first, _changes.end()};
}

} // namespace agent
