#include "agent/store/RunOutlook.h"

#include "agent/store/Query.h"

namespace agent
{

namespace
{

/// Who waits behind so many others does not look at his place, and a submit waits until they are counted.
constexpr int mostPlaces = 100;

const Query failedOfRun{"SELECT id, type, name, cause FROM stages INDEXED BY stages_failed "
                        "WHERE run_id = ? AND status = 'FAILURE' ORDER BY ordinal LIMIT 1"};
const Query currentOfRun{"SELECT id, type, name, stuck_since FROM stages WHERE run_id = ? AND "
                         "status IN ('IN_PROGRESS', 'AWAITING_APPROVAL') ORDER BY ordinal LIMIT 1"};
const Query statesOfRun{
    "SELECT id, type, name, status, cause, skipped, started_at, ended_at, attempt "
    "FROM stages WHERE run_id = ? ORDER BY ordinal"};
const Query earlierOfStage{"SELECT attempt, ended_at - started_at FROM attempts WHERE stage_id = ? "
                           "AND started_at IS NOT NULL AND ended_at IS NOT NULL"};
const Query resultsOfRun{
    "SELECT tests_total, tests_failed, tests_skipped, artifact_files, artifact_bytes "
    "FROM stages INDEXED BY stages_with_results "
    "WHERE run_id = ? AND (tests_total IS NOT NULL OR artifact_files IS NOT NULL)"};
const Query pauseOfRun{"SELECT retry_at, status FROM stages WHERE run_id = ? AND "
                       "(retry_at IS NOT NULL OR (status = 'IN_PROGRESS' AND plugin = 'external')) "
                       "ORDER BY ordinal LIMIT 1"};
const Query expiryOfRun{"SELECT expires_at FROM stages WHERE run_id = ? AND "
                        "status = 'AWAITING_APPROVAL' ORDER BY ordinal LIMIT 1"};
const Query waitingRuns{"SELECT id FROM runs WHERE wants_slot = 1 "
                        "ORDER BY resumed DESC, priority DESC, seq LIMIT ?"};
const Query begunOfService{"SELECT id FROM runs WHERE service_name = ? AND "
                           "ended_at IS NULL AND status <> 'IDLE' ORDER BY seq LIMIT ?"};

} // namespace

std::optional<RunOutlook::FailedStage> RunOutlook::failedStage(const std::string& runId)
{
    Statement& query = _connection.prepare(failedOfRun).bind(runId);
    std::optional<FailedStage> found;
    if (query.step())
    {
        found.emplace();
        found->id = query.text();
        found->type = stageTypeFrom(query.text()).value_or(StageType::Other);
        found->name = query.text();
        found->cause = causeFrom(query.text());
    }
    query.reset();
    return found;
}

std::optional<RunOutlook::CurrentStage> RunOutlook::currentStage(const std::string& runId)
{
    Statement& query = _connection.prepare(currentOfRun).bind(runId);
    std::optional<CurrentStage> found;
    if (query.step())
    {
        found.emplace();
        found->id = query.text();
        found->type = stageTypeFrom(query.text()).value_or(StageType::Other);
        found->name = query.text();
        found->stuckSince = query.maybeInteger();
    }
    query.reset();
    return found;
}

std::vector<RunOutlook::StageState> RunOutlook::stageStates(const std::string& runId)
{
    Statement& query = _connection.prepare(statesOfRun).bind(runId);
    std::vector<StageState> states;
    std::vector<std::pair<std::size_t, std::int64_t>> tried; // more than once, and the last attempt
    while (query.step())
    {
        StageState& state = states.emplace_back();
        state.id = query.text();
        state.type = stageTypeFrom(query.text()).value_or(StageType::Other);
        state.name = query.text();
        state.status = query.text();
        state.cause = causeFrom(query.text());
        state.skipped = query.text();
        state.startedAt = query.maybeInteger();
        state.endedAt = query.maybeInteger();
        if (const std::int64_t attempt = query.integer();
            attempt > 1 || (attempt == 1 && !state.startedAt))
            tried.emplace_back(states.size() - 1, attempt);
    }
    query.reset();
    for (const auto& [index, last] : tried)
    {
        Statement& earlier = _connection.prepare(earlierOfStage).bind(states[index].id);
        while (earlier.step())
            if (earlier.integer() < last || !states[index].startedAt)
                states[index].earlierMs += earlier.integer();
        earlier.reset();
    }
    return states;
}

RunOutlook::Results RunOutlook::results(const std::string& runId)
{
    Statement& query = _connection.prepare(resultsOfRun).bind(runId);
    Results results;
    const auto add = [&query](std::optional<std::int64_t>& sum)
    {
        if (const auto value = query.maybeInteger())
            sum = sum.value_or(0) + *value;
    };
    while (query.step())
    {
        add(results.testsTotal);
        add(results.testsFailed);
        add(results.testsSkipped);
        add(results.artifactFiles);
        add(results.artifactBytes);
    }
    query.reset();
    return results;
}

RunOutlook::Pause RunOutlook::pause(const std::string& runId)
{
    Statement& query = _connection.prepare(pauseOfRun).bind(runId);
    Pause pause;
    if (query.step())
    {
        pause.retryAt = query.maybeInteger();
        pause.external = !pause.retryAt;
    }
    query.reset();
    return pause;
}

std::optional<TimeMs> RunOutlook::approvalUntil(const std::string& runId)
{
    Statement& query = _connection.prepare(expiryOfRun).bind(runId);
    const auto until = query.step() ? query.maybeInteger() : std::nullopt;
    query.reset();
    return until;
}

std::unordered_map<std::string, int> RunOutlook::places()
{
    Statement& query = _connection.prepare(waitingRuns).bind(mostPlaces);
    std::unordered_map<std::string, int> places;
    while (query.step())
    {
        const int place = static_cast<int>(places.size()) + 1;
        places.emplace(query.text(), place);
    }
    query.reset();
    return places;
}

std::vector<std::string> RunOutlook::begun(const std::string& serviceName, int limit)
{
    Statement& query = _connection.prepare(begunOfService).bind(serviceName).bind(limit);
    std::vector<std::string> ids;
    while (query.step())
        ids.push_back(query.text());
    query.reset();
    return ids;
}

} // namespace agent
