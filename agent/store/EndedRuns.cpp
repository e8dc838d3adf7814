#include "agent/store/EndedRuns.h"

#include "agent/store/Query.h"

namespace agent
{

namespace
{

// `+status`: the place is to be found by runs_ended, not by the status.
const Query endedRunsAfter{
    "SELECT id, status, ended_at FROM runs "
    "WHERE ended_at IS NOT NULL AND (ended_at, id) > (?, ?) AND +status IN ('SUCCESS', 'FAILURE') "
    "AND NOT EXISTS (SELECT 1 FROM stages WHERE run_id = runs.id AND status = 'IN_PROGRESS') "
    "ORDER BY ended_at, id LIMIT ?"};
const Query endedRunsCounted{"SELECT value FROM counts WHERE name = 'ended_runs'"};
const Query endedStagesAfter{
    "SELECT id, run_id, ordinal, type, attempt, updated_at FROM stages "
    "WHERE ended_at IS NOT NULL AND (updated_at, id) > (?, ?) AND status IN ('SUCCESS', 'FAILURE') "
    "ORDER BY updated_at, id LIMIT ?"};

} // namespace

std::int64_t EndedRuns::count()
{
    Statement& query = _connection.prepare(endedRunsCounted);
    query.step();
    const std::int64_t count = query.integer();
    query.reset();
    return count;
}

std::vector<Run> EndedRuns::runs(const EndedPlace& place, int limit)
{
    Statement& query = _connection.prepare(endedRunsAfter);
    query.bind(place.at).bind(place.id).bind(limit);
    std::vector<Run> found;
    while (query.step())
    {
        Run& run = found.emplace_back();
        run.id = query.text();
        run.status = statusFrom(query.text()).value_or(Status::Failure);
        run.endedAt = query.integer();
    }
    query.reset();
    return found;
}

std::vector<Stage> EndedRuns::stages(const EndedPlace& place, int limit)
{
    Statement& query = _connection.prepare(endedStagesAfter);
    query.bind(place.at).bind(place.id).bind(limit);
    std::vector<Stage> found;
    while (query.step())
    {
        Stage& stage = found.emplace_back();
        stage.id = query.text();
        stage.runId = query.text();
        stage.ordinal = static_cast<int>(query.integer());
        stage.type = stageTypeFrom(query.text()).value_or(StageType::Other);
        stage.attempt = static_cast<int>(query.integer());
        stage.updatedAt = query.integer();
    }
    query.reset();
    return found;
}

} // namespace agent
