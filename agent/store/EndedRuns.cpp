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
const Query removableRuns{
    "SELECT id, status, ended_at FROM runs "
    "WHERE ended_at IS NOT NULL AND kept = 0 AND +status IN ('SUCCESS', 'FAILURE') "
    "AND NOT EXISTS (SELECT 1 FROM stages WHERE run_id = runs.id AND status = 'IN_PROGRESS') "
    "ORDER BY ended_at, id LIMIT ?"};
const Query endedRunsCounted{"SELECT value FROM counts WHERE name = 'ended_runs'"};
const Query endedStagesAfter{
    "SELECT id, run_id, ordinal, type, attempt, updated_at FROM stages "
    "WHERE ended_at IS NOT NULL AND (updated_at, id) > (?, ?) AND status IN ('SUCCESS', 'FAILURE') "
    "ORDER BY updated_at, id LIMIT ?"};

/// What the query finds, each row taken over by `read`.
template <typename Row, typename Read> std::vector<Row> rowsOf(Statement& query, const Read& read)
{
    std::vector<Row> found;
    while (query.step())
        read(query, found.emplace_back());
    query.reset();
    return found;
}

void readRun(Statement& query, Run& run)
{
    run.id = query.text();
    run.status = statusFrom(query.text()).value_or(Status::Failure);
    run.endedAt = query.integer();
}

void readStage(Statement& query, Stage& stage)
{
    stage.id = query.text();
    stage.runId = query.text();
    stage.ordinal = static_cast<int>(query.integer());
    stage.type = stageTypeFrom(query.text()).value_or(StageType::Other);
    stage.attempt = static_cast<int>(query.integer());
    stage.updatedAt = query.integer();
}

} // namespace

std::int64_t EndedRuns::count()
{
    Statement& query = _connection.prepare(endedRunsCounted);
    query.step();
    const std::int64_t count = query.integer();
    query.reset();
    return count;
}

std::vector<Run> EndedRuns::removable(int limit)
{
    return rowsOf<Run>(_connection.prepare(removableRuns).bind(limit), readRun);
}

std::vector<Run> EndedRuns::runs(const EndedPlace& place, int limit)
{
    return rowsOf<Run>(
        _connection.prepare(endedRunsAfter).bind(place.at).bind(place.id).bind(limit), readRun);
}

std::vector<Stage> EndedRuns::stages(const EndedPlace& place, int limit)
{
    return rowsOf<Stage>(
        _connection.prepare(endedStagesAfter).bind(place.at).bind(place.id).bind(limit), readStage);
}

} // namespace agent
