// What the record tells of runs that are over, and what it keeps beside runs: ids of services, keys of
// submissions.
#include "agent/store/RunStore.h"

#include "agent/model/Id.h"

namespace agent
{

std::vector<std::int64_t> RunStore::recentDurations(const std::string& serviceId,
                                                    const std::string& name)
{
    std::vector<std::int64_t> found;
    if (serviceId.empty())
        return found;
    Statement& query = _connection.prepare(
        "SELECT s.ended_at - s.started_at FROM "
        "(SELECT id, seq FROM runs WHERE service_id = ? ORDER BY seq DESC LIMIT 100) r "
        "JOIN stages s ON s.run_id = r.id WHERE s.name = ? AND s.status = 'SUCCESS' "
        "AND s.cause = 'EXIT' ORDER BY r.seq DESC LIMIT 20");
    query.bind(serviceId).bind(name);
    while (query.step())
        found.push_back(query.integer());
    query.reset();
    return found;
}

std::vector<Run> RunStore::endedRuns(const EndedPlace& place, int limit)
{
    Statement& query = _connection.prepare(
        "SELECT id, status, ended_at FROM runs "
        "WHERE ended_at IS NOT NULL AND (ended_at, id) > (?, ?) AND status IN ('SUCCESS', "
        "'FAILURE') "
        "AND NOT EXISTS (SELECT 1 FROM stages WHERE run_id = runs.id AND status = 'IN_PROGRESS') "
        "ORDER BY ended_at, id LIMIT ?");
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
    Statement& query = _connection.prepare("SELECT COUNT(*) FROM runs WHERE ended_at IS NOT NULL");
    query.step();
    const std::int64_t count = query.integer();
    query.reset();
    return count;
}

std::vector<Stage> RunStore::endedStages(const EndedPlace& place, int limit)
{
    Statement& query =
        _connection.prepare("SELECT id, run_id, ordinal, type, attempt, updated_at FROM stages "
                            "WHERE ended_at IS NOT NULL AND (updated_at, id) > (?, ?) AND status "
                            "IN ('SUCCESS', 'FAILURE') "
                            "ORDER BY updated_at, id LIMIT ?");
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
    _connection.prepare("INSERT OR IGNORE INTO services (name, id) VALUES (?, ?)")
        .bind(name)
        .bind(newId())
        .run();
    Statement& query = _connection.prepare("SELECT id FROM services WHERE name = ?");
    query.bind(name).step();
    std::string id = query.text();
    query.reset();
    return id;
}

void RunStore::probe()
{
    _connection.prepare("INSERT OR REPLACE INTO services (name, id) VALUES ('', '')").run();
    _connection.prepare("DELETE FROM services WHERE name = ''").run();
}

std::optional<RunStore::Submitted> RunStore::submitted(const std::string& key, TimeMs since)
{
    Statement& query = _connection.prepare(
        "SELECT run_id, body_hash FROM idempotency WHERE key = ? AND created_at >= ?");
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
    _connection.prepare("DELETE FROM idempotency WHERE created_at < ? OR key = ?")
        .bind(at - day)
        .bind(key)
        .run();
    _connection
        .prepare("INSERT INTO idempotency (key, body_hash, run_id, created_at) "
                 "VALUES (?, ?, ?, ?)")
        .bind(key)
        .bind(submitted.bodyHash)
        .bind(submitted.runId)
        .bind(at)
        .run();
}

void RunStore::forgetSubmitted(TimeMs before)
{
    _connection.prepare("DELETE FROM idempotency WHERE created_at < ?").bind(before).run();
}

} // namespace agent
