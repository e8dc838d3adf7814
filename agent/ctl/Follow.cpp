#include "agent/ctl/Follow.h"

#include "agent/ctl/Cells.h"
#include "agent/ctl/Failure.h"
#include "agent/ctl/Json.h"
#include "agent/ctl/Text.h"

#include <algorithm>
#include <thread>
#include <utility>

namespace agent::ctl
{

namespace
{

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds pollInterval{500};
constexpr std::chrono::minutes maxOutage{2}; // an upgrade takes seconds

bool ended(const std::string& status)
{
    return status == "SUCCESS" || status == "FAILURE";
}

FollowedStage stageFrom(const rapidjson::Value& value)
{
    return {.id = text(value, "id"),
            .type = text(value, "type"),
            .status = text(value, "status"),
            .updatedAt = text(value, "updatedAt"),
            .startedAt = parseTime(text(value, "startedAt")),
            .duration = number(value, "duration")};
}

} // namespace

bool OutageTolerance::attempt(const std::function<void()>& poll,
                              const std::function<void(const std::string&)>& notify)
{
    try
    {
        poll();
        if (_failingSince)
            notify("the agent answers again");
        _failingSince.reset();
        return true;
    }
    catch (const Failure& failure)
    {
        const bool transient =
            failure.exit() == Exit::Unreachable || failure.exit() == Exit::AgentFailed;
        if (!transient || (_failingSince && Clock::now() - *_failingSince > maxOutage))
            throw;
        if (!_failingSince)
        {
            _failingSince = Clock::now();
            notify("the agent does not answer (its stages keep running); retrying");
        }
        return false;
    }
}

void waitForNextPoll()
{
    std::this_thread::sleep_for(pollInterval);
}

RunFollower::RunFollower(const Client& client, std::string runId, FollowView& view)
    : _client(client), _view(view)
{
    _run.id = std::move(runId);
}

bool RunFollower::follow()
{
    const auto notify = [this](const std::string& line) { _view.notify(line); };
    while (true)
    {
        const bool polled = _tolerance.attempt([this] { poll(); }, notify);
        const bool last = polled && _run.ended;
        _view.refresh(_run, last);
        if (last)
            return _run.status == "SUCCESS";
        const auto next = Clock::now() + pollInterval;
        while (resizedUntil(next))
            _view.refresh(_run, false);
    }
}

void RunFollower::poll()
{
    // The run is read first: if it has ended, so have the stages that are read after it.
    const auto run = objectOf(_client.ask({.path = "/api/runs/" + _run.id}));
    const auto stages = listOf(_client.ask({.path = "/api/stages?runId=" + _run.id}));

    std::vector<FollowedStage> known = std::move(_run.stages);
    _run.stages.clear();
    try
    {
        for (const rapidjson::Value& value : stages.GetArray())
        {
            FollowedStage seen = stageFrom(value);
            const auto found =
                std::find_if(known.begin(), known.end(),
                             [&](const FollowedStage& stage) { return stage.id == seen.id; });
            update(std::move(seen), found == known.end() ? nullptr : &*found);
        }
    }
    catch (const Failure&)
    {
        // Stages not yet polled keep their known state: changes are shown once the agent is back.
        for (const FollowedStage& stage : known)
            if (std::none_of(_run.stages.begin(), _run.stages.end(),
                             [&](const FollowedStage& done) { return done.id == stage.id; }))
                _run.stages.push_back(stage);
        throw;
    }
    // Only now: a poll that failed half-way must not end the following.
    _run.startedAt = parseTime(text(run, "startedAt"));
    _run.duration = number(run, "duration");
    _run.status = text(run, "status");
    _run.ended = !text(run, "endedAt").empty();
    _run.waits = waitsCell(Terminal{.interactive = true}, run);
}

void RunFollower::update(FollowedStage seen, const FollowedStage* known)
{
    if (known != nullptr && known->updatedAt == seen.updatedAt)
        seen = *known;
    else
        addDetail(seen);

    showPastAttempts(seen);
    const bool newAttempt = known != nullptr && known->attempt != seen.attempt;
    const bool skipped = !seen.skipped.empty() && (known == nullptr || known->skipped.empty());
    const bool changed = skipped || (known == nullptr ? seen.status != "IDLE" || seen.attempt > 0
                                                      : known->status != seen.status || newAttempt);
    const bool logOpen = known == nullptr || !ended(known->status) || newAttempt;
    // An attempt's log comes between the line of its start and the line of its end.
    const bool begins = seen.status == "IN_PROGRESS";
    if (changed && begins)
        _view.changed(seen);
    if (logOpen)
        readLog(seen);
    if (changed && !begins)
        _view.changed(seen);

    if (seen.status != "AWAITING_APPROVAL")
        _waiting.erase(seen.id);
    else if (_waiting.insert(seen.id).second)
        _view.notify("waiting for approval: stagectl approve " + _run.id);
    _run.stages.push_back(std::move(seen));
}

void RunFollower::readLog(const FollowedStage& stage)
{
    if (stage.attempt < 1)
        return;
    const auto [tail, added] =
        _tails.try_emplace({stage.id, stage.attempt}, _client,
                           LogChoice{.stageId = stage.id, .attempt = stage.attempt});
    tail->second.read([&](std::string_view bytes) { _view.log(stage, bytes); });
}

/// Shows the ends of the attempts before the current one; several may have ended since the last poll.
void RunFollower::showPastAttempts(const FollowedStage& stage)
{
    std::int64_t& shown = _shown[stage.id];
    const bool current = stage.status == "IN_PROGRESS" || ended(stage.status);
    while (shown < stage.attempt - (current ? 1 : 0))
    {
        FollowedStage attempt = stage;
        attempt.attempt = shown + 1;
        readLog(attempt);
        try
        {
            addDetail(attempt, "?attempt=" + std::to_string(attempt.attempt));
            attempt.past = true;
            if (ended(attempt.status))
                _view.changed(attempt);
        }
        catch (const Failure& failure)
        {
            if (failure.exit() != Exit::NotFound) // an agent without records of attempts
                throw;
        }
        ++shown;
    }
    if (ended(stage.status))
        shown = stage.attempt; // its end is the stage's end
}

void RunFollower::addDetail(FollowedStage& stage, const std::string& query) const
{
    const auto detail = objectOf(_client.ask({.path = "/api/stages/" + stage.id + query}));
    stage = stageFrom(detail);
    stage.attempt = number(detail, "attempt").value_or(0);
    if (const std::string name = text(detail, "name"); name != stage.type)
        stage.name = name;
    stage.skipped = text(detail, "skipped");
    if (!stage.skipped.empty())
        stage.outcome = "skipped: " + stage.skipped;
    if (!ended(stage.status))
        return;
    const std::string cause = text(detail, "cause");
    const std::string exitCode = text(detail, "exitCode");
    const std::string signal = text(detail, "signal");
    const std::string message = text(detail, "message");
    if (stage.status == "SUCCESS" && cause == "EXIT")
        return;
    stage.outcome = cause;
    if (cause == "EXIT" && !exitCode.empty())
        stage.outcome += " " + exitCode;
    if (cause == "SIGNAL" && !signal.empty())
        stage.outcome += " " + signal;
    if (!message.empty())
        stage.outcome += ": " + message;
}

} // namespace agent::ctl
