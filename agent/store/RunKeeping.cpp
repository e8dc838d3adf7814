// The record's queries for retention, and what it keeps besides runs: ids of services, idempotency keys.
#include "agent/store/RunStore.h"

#include "agent/model/Id.h"
#include "agent/store/Query.h"

namespace agent
{

namespace
{

const Query durationsOfService{
    "SELECT s.ended_at - s.started_at FROM "
    "(SELECT id, seq FROM runs WHERE service_id = ? ORDER BY seq DESC LIMIT 100) r "
    "JOIN stages s ON s.run_id = r.id WHERE s.name = ? AND s.status = 'SUCCESS' "
    "AND s.cause = 'EXIT' ORDER BY r.seq DESC LIMIT 20"};
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
const Query addService{"INSERT OR IGNORE INTO services (name, id) VALUES (?, ?)"};
const Query serviceIdByName{"SELECT id FROM services WHERE name = ?"};
const Query probeWrite{"INSERT OR REPLACE INTO services (name, id) VALUES ('', '')"};
const Query probeUndo{"DELETE FROM services WHERE name = ''"};
const Query submissionByKey{
    "SELECT run_id, body_hash FROM idempotency WHERE key = ? AND created_at >= ?"};
const Query addSubmission{"INSERT OR REPLACE INTO idempotency (key, body_hash, run_id, created_at) "
                          "VALUES (?, ?, ?, ?)"};
const Query deleteOldSubmissions{"DELETE FROM idempotency WHERE created_at < ?"};

} // namespace

std::vector<std::int64_t> RunStore::recentDurations(const std::string& serviceId,
                                                    const std::string& name)
{
    std::vector<std::int64_t> found;
    if (serviceId.empty())
        return found;
    Statement& query = _connection.prepare(durationsOfService);
    query.bind(serviceId).bind(name);
    while (query.step())
        found.push_back(query.integer());
    query.reset();
    return found;
}

std::vector<Run> RunStore::endedRuns(const EndedPlace& place, int limit)
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

std::int64_t RunStore::endedRunCount()
{
    Statement& query = _connection.prepare(endedRunsCounted);
    query.step();
    const std::int64_t count = query.integer();
    query.reset();
    return count;
}

std::vector<Stage> RunStore::endedStages(const EndedPlace& place, int limit)
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

std::string RunStore::serviceId(const std::string& name)
{
    _connection.prepare(addService).bind(name).bind(newId()).run();
    Statement& query = _connection.prepare(serviceIdByName);
    query.bind(name).step();
    std::string id = query.text();
    query.reset();
    return id;
}

void RunStore::probe()
{
    _connection.prepare(probeWrite).run();
    _connection.prepare(probeUndo).run();
}

std::optional<RunStore::Submitted> RunStore::submitted(const std::string& key, TimeMs since)
{
    Statement& query = _connection.prepare(submissionByKey);
    std::optional<Submitted> found;
    if (query.bind(key).bind(since).step())
    {
        found.emplace();
        found->runId = query.text();
        found->bodyHash = query.text();
    }
    query.reset();
    return found;
}

void RunStore::remember(const std::string& key, const Submitted& submitted, TimeMs at)
{
    constexpr TimeMs day = 86'400'000;
    forgetSubmitted(at - day);
    _connection.prepare(addSubmission)
        .bind(key)
        .bind(submitted.bodyHash)
        .bind(submitted.runId)
        .bind(at)
        .run();
}

void RunStore::forgetSubmitted(TimeMs before)
{
    _connection.prepare(deleteOldSubmissions).bind(before).run();
}

} // namespace agent
