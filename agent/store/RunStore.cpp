#include "agent/store/RunStore.h"

#include "agent/model/Id.h"
#include "agent/store/Query.h"
#include "agent/store/Tables.h"

#include <algorithm>

namespace agent
{

namespace
{

const Query runById{runTable.select("WHERE id = ?")};
const Query serviceOfRun{"SELECT service_name FROM runs WHERE id = ?"};
const Query openRunsOldestFirst{
    "SELECT seq, id, status, service_name, priority, resumed, holds_slot, wants_slot "
    "FROM runs WHERE ended_at IS NULL ORDER BY seq"};
const Query openRunsOfBranch{"SELECT id FROM runs WHERE service_name = ?1 AND branch IS ?2 AND "
                             "pull_number IS ?3 AND ended_at IS NULL AND seq < ?4 ORDER BY seq"};
const Query insertRun{runTable.insert()};
const Query lastInserted{"SELECT last_insert_rowid()"};
const Query insertLabel{"INSERT INTO run_labels (key, value, run_seq) VALUES (?, ?, ?)"};
const Query updateRun{runTable.update()};
const Query updateRunOfSameStatus{runTable.update(Written::Always)};
const Query deleteRun{"DELETE FROM runs WHERE id = ?"};

const Query stageById{stageTable.select("WHERE id = ?")};
const Query stagesOfRun{stageTable.select("WHERE run_id = ? ORDER BY ordinal")};
const Query stagesStuck{stageTable.select("WHERE stuck_since IS NOT NULL ORDER BY stuck_since")};
const Query insertStage{stageTable.insert()};
const Query updateStage{stageTable.update()};
const Query deleteStage{"DELETE FROM stages WHERE id = ?"};

const Query durationsOfService{
    "SELECT s.ended_at - s.started_at FROM "
    "(SELECT id, seq FROM runs WHERE service_id = ? ORDER BY seq DESC LIMIT 100) r "
    "JOIN stages s ON s.run_id = r.id WHERE s.name = ? AND s.status = 'SUCCESS' "
    "AND s.cause = 'EXIT' ORDER BY r.seq DESC LIMIT 20"};
const Query probeWrite{"INSERT OR REPLACE INTO services (name, id) VALUES ('', '')"};
const Query probeUndo{"DELETE FROM services WHERE name = ''"};

const Query attemptOfStage{attemptTable.select("WHERE stage_id = ? AND attempt = ?")};
const Query insertAttempt{attemptTable.insert("INSERT OR IGNORE")};
const Query stagesToSync{"SELECT id, attempt FROM stages WHERE synced = 0"};
const Query attemptsToSync{"SELECT stage_id, attempt FROM attempts WHERE synced = 0"};
const Query syncedStage{"UPDATE stages SET synced = 1 WHERE id = ? AND attempt = ? AND synced = 0"};
const Query syncedAttempt{
    "UPDATE attempts SET synced = 1 WHERE stage_id = ? AND attempt = ? AND synced = 0"};
const Query shimOfStage{"UPDATE stages SET shim_pid = ?3, shim_start = ?4 "
                        "WHERE id = ?1 AND attempt = ?2 AND ended_at IS NULL"};
const Query lostStage{"UPDATE stages SET synced = 2, notes = iif(ended_at IS NULL, notes, ?3) "
                      "WHERE id = ?1 AND attempt = ?2 AND synced = 0"};
const Query lostAttempt{"UPDATE attempts SET synced = 2, notes = ?3 "
                        "WHERE stage_id = ?1 AND attempt = ?2 AND synced = 0"};

/// Every stored change is seen in updatedAt, also two within one millisecond or over a clock set back.
template <typename Record> void touch(Record& record)
{
    record.updatedAt = std::max(nowMs(), record.updatedAt + 1);
    ++record.version;
}

/// All rows of `query`, each read by `table`.
template <typename Record, std::size_t N>
std::vector<Record> readAll(const Table<Record, N>& table, Statement& query)
{
    std::vector<Record> found;
    while (query.step())
        table.read(query, found.emplace_back());
    query.reset();
    return found;
}

/// The first row of `query`; nothing when there is none.
template <typename Record, std::size_t N>
std::optional<Record> readOne(const Table<Record, N>& table, Statement& query)
{
    std::optional<Record> found;
    if (query.step())
        table.read(query, found.emplace());
    query.reset();
    return found;
}

} // namespace

std::optional<Run> RunStore::run(const std::string& id)
{
    return readOne(runTable, _connection.prepare(runById).bind(id));
}

std::optional<Stage> RunStore::stage(const std::string& id)
{
    return readOne(stageTable, _connection.prepare(stageById).bind(id));
}

std::vector<Stage> RunStore::stages(const std::string& runId)
{
    return readAll(stageTable, _connection.prepare(stagesOfRun).bind(runId));
}

std::vector<Stage> RunStore::stuckStages()
{
    return readAll(stageTable, _connection.prepare(stagesStuck));
}

std::vector<Run> RunStore::openRuns()
{
    Statement& query = _connection.prepare(openRunsOldestFirst);
    std::vector<Run> found;
    while (query.step())
    {
        Run& run = found.emplace_back();
        run.seq = query.integer();
        run.id = query.text();
        run.status = statusFrom(query.text()).value_or(Status::Failure);
        run.serviceName = query.text();
        run.priority = query.integer();
        run.resumed = query.integer() != 0;
        run.holdsSlot = query.integer() != 0;
        run.wantsSlot = query.integer() != 0;
    }
    query.reset();
    return found;
}

std::vector<std::string> RunStore::openRunsLike(const Run& run)
{
    Statement& query = _connection.prepare(openRunsOfBranch);
    query.bind(run.serviceName).bindText(run.branch).bind(run.pullNumber).bind(run.seq);
    std::vector<std::string> found;
    while (query.step())
        found.push_back(query.text());
    query.reset();
    return found;
}

void RunStore::insert(Run& run)
{
    runTable.bindInsert(_connection.prepare(insertRun), run).run();
    Statement& seq = _connection.prepare(lastInserted);
    seq.step();
    run.seq = seq.integer();
    seq.reset();
    for (const auto& [key, value] : run.labels)
        _connection.prepare(insertLabel).bind(key).bind(value).bind(run.seq).run();
}

void RunStore::insert(const Stage& stage)
{
    stageTable.bindInsert(_connection.prepare(insertStage), stage).run();
}

void RunStore::update(Run& run, bool sameStatus)
{
    touch(run);
    const auto most = sameStatus ? Written::Always : Written::WithStatus;
    Statement& query = _connection.prepare(sameStatus ? updateRunOfSameStatus : updateRun);
    runTable.bindUpdate(query, run, most).run();
}

void RunStore::update(Stage& stage)
{
    touch(stage);
    stageTable.bindUpdate(_connection.prepare(updateStage), stage).run();
}

std::string RunStore::serviceOf(const std::string& runId)
{
    Statement& query = _connection.prepare(serviceOfRun).bind(runId);
    std::string name = query.step() ? query.text() : "";
    query.reset();
    return name;
}

std::optional<Stage> RunStore::attempt(const std::string& stageId, int attempt)
{
    auto stage = this->stage(stageId);
    if (!stage)
        return std::nullopt;
    Statement& query = _connection.prepare(attemptOfStage);
    const bool kept = query.bind(stageId).bind(attempt).step();
    if (kept)
        attemptTable.read(query, *stage);
    query.reset();
    return kept || stage->attempt == attempt ? stage : std::nullopt;
}

void RunStore::keepAttempt(const Stage& stage)
{
    if (stage.attempt == 0)
        return; // it was skipped: nothing was tried
    attemptTable.bindInsert(_connection.prepare(insertAttempt), stage).run();
}

void RunStore::setSynced(const std::string& stageId, int attempt)
{
    _connection.prepare(syncedStage).bind(stageId).bind(attempt).run();
    _connection.prepare(syncedAttempt).bind(stageId).bind(attempt).run();
}

void RunStore::setShim(const std::string& stageId, int attempt, int pid, std::int64_t start)
{
    _connection.prepare(shimOfStage).bind(stageId).bind(attempt).bind(pid).bind(start).run();
}

void RunStore::setLost(const std::string& stageId, int attempt, const std::string& notes)
{
    _connection.prepare(lostStage).bind(stageId).bind(attempt).bindText(notes).run();
    _connection.prepare(lostAttempt).bind(stageId).bind(attempt).bindText(notes).run();
}

std::vector<RunStore::Attempted> RunStore::unsynced()
{
    std::vector<Attempted> found;
    for (const Query* query : {&stagesToSync, &attemptsToSync})
    {
        Statement& rows = _connection.prepare(*query);
        while (rows.step())
        {
            Attempted& row = found.emplace_back();
            row.stageId = rows.text();
            row.attempt = static_cast<int>(rows.integer());
        }
        rows.reset();
    }
    return found;
}

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

void RunStore::probe()
{
    _connection.prepare(probeWrite).run();
    _connection.prepare(probeUndo).run();
}

void RunStore::removeStage(const std::string& id)
{
    _connection.prepare(deleteStage).bind(id).run();
}

void RunStore::removeRun(const std::string& id)
{
    _connection.prepare(deleteRun).bind(id).run();
}

} // namespace agent
