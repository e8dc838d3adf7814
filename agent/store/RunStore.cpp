#include "agent/store/RunStore.h"

#include "agent/model/Id.h"

#include <algorithm>

namespace agent
{

namespace
{

// The columns in one order for reading and writing; the readers below take them from left to right.
#define RUN_COLUMNS                                                                                \
    "id, created_at, updated_at, started_at, ended_at, commit_hash, commit_message, committer, "   \
    "status, trigger_type, service_id, service_name, branch, pull_number, priority, pipeline, "    \
    "resumed, holds_slot, wants_slot, stopping, version"

#define END_COLUMNS                                                                                \
    "started_at, ended_at, cause, exit_code, signal, message, containment, limits_missing, "       \
    "notes, log_bytes, cpu_ms, max_rss_bytes, read_bytes, write_bytes"

#define STAGE_COLUMNS                                                                              \
    "id, run_id, ordinal, type, name, plugin, status, attempt, created_at, "                       \
    "updated_at, " END_COLUMNS ", outputs, approved, started_corrected, "                          \
    "intent, intent_actor, intent_reason, intent_started_at, intent_ended_at, retry_at, "          \
    "stuck_since, stuck_why, version"

std::optional<int> maybeInt(Statement& row)
{
    const auto value = row.maybeInteger();
    return value ? std::optional(static_cast<int>(*value)) : std::nullopt;
}

Run readRun(Statement& row)
{
    Run run;
    run.seq = row.integer();
    run.id = row.text();
    run.createdAt = row.integer();
    run.updatedAt = row.integer();
    run.startedAt = row.maybeInteger();
    run.endedAt = row.maybeInteger();
    run.commitHash = row.text();
    run.commitMessage = row.text();
    run.committer = row.text();
    run.status = statusFrom(row.text()).value_or(Status::Failure);
    run.trigger = triggerTypeFrom(row.text()).value_or(TriggerType::Manual);
    run.serviceId = row.text();
    run.serviceName = row.text();
    run.branch = row.text();
    run.pullNumber = row.maybeInteger();
    run.priority = row.integer();
    run.pipeline = row.text();
    run.resumed = row.integer() != 0;
    run.holdsSlot = row.integer() != 0;
    run.wantsSlot = row.integer() != 0;
    run.stopping = row.integer() != 0;
    run.version = row.integer();
    return run;
}

Statement& bindRun(Statement& statement, const Run& run)
{
    return statement.bind(run.id)
        .bind(run.createdAt)
        .bind(run.updatedAt)
        .bind(run.startedAt)
        .bind(run.endedAt)
        .bindText(run.commitHash)
        .bindText(run.commitMessage)
        .bindText(run.committer)
        .bind(toString(run.status))
        .bind(toString(run.trigger))
        .bindText(run.serviceId)
        .bindText(run.serviceName)
        .bindText(run.branch)
        .bind(run.pullNumber)
        .bind(run.priority)
        .bind(run.pipeline)
        .bind(run.resumed)
        .bind(run.holdsSlot)
        .bind(run.wantsSlot)
        .bind(run.stopping)
        .bind(run.version);
}

void readEnd(Statement& row, Stage& stage)
{
    stage.startedAt = row.maybeInteger();
    stage.endedAt = row.maybeInteger();
    stage.cause = causeFrom(row.text());
    stage.exitCode = maybeInt(row);
    stage.signal = maybeInt(row);
    stage.message = row.text();
    stage.containment = row.text();
    stage.limitsMissing = row.text();
    stage.notes = row.text();
    stage.logBytes = row.integer();
    stage.usage.cpuMs = row.maybeInteger();
    stage.usage.maxRssBytes = row.maybeInteger();
    stage.usage.readBytes = row.maybeInteger();
    stage.usage.writeBytes = row.maybeInteger();
}

Statement& bindEnd(Statement& statement, const Stage& stage)
{
    const std::optional<std::string_view> cause =
        stage.cause ? std::optional(toString(*stage.cause)) : std::nullopt;
    const auto maybe = [](std::optional<int> value)
    { return value ? std::optional<std::int64_t>(*value) : std::nullopt; };
    return statement.bind(stage.startedAt)
        .bind(stage.endedAt)
        .bind(cause)
        .bind(maybe(stage.exitCode))
        .bind(maybe(stage.signal))
        .bindText(stage.message)
        .bindText(stage.containment)
        .bindText(stage.limitsMissing)
        .bindText(stage.notes)
        .bind(stage.logBytes)
        .bind(stage.usage.cpuMs)
        .bind(stage.usage.maxRssBytes)
        .bind(stage.usage.readBytes)
        .bind(stage.usage.writeBytes);
}

Stage readStage(Statement& row)
{
    Stage stage;
    stage.id = row.text();
    stage.runId = row.text();
    stage.ordinal = static_cast<int>(row.integer());
    stage.type = stageTypeFrom(row.text()).value_or(StageType::Other);
    stage.name = row.text();
    stage.plugin = row.text();
    stage.status = statusFrom(row.text()).value_or(Status::Failure);
    stage.attempt = static_cast<int>(row.integer());
    stage.createdAt = row.integer();
    stage.updatedAt = row.integer();
    readEnd(row, stage);
    stage.outputs = row.text();
    stage.approved = row.integer() != 0;
    stage.startedCorrected = row.integer() != 0;
    stage.intent = intentFrom(row.text());
    stage.intentActor = row.text();
    stage.intentReason = row.text();
    stage.intentStartedAt = row.maybeInteger();
    stage.intentEndedAt = row.maybeInteger();
    stage.retryAt = row.maybeInteger();
    stage.stuckSince = row.maybeInteger();
    stage.stuckWhy = row.text();
    stage.version = row.integer();
    return stage;
}

Statement& bindStage(Statement& statement, const Stage& stage)
{
    statement.bind(stage.id)
        .bind(stage.runId)
        .bind(stage.ordinal)
        .bind(toString(stage.type))
        .bind(stage.name)
        .bind(stage.plugin)
        .bind(toString(stage.status))
        .bind(stage.attempt)
        .bind(stage.createdAt)
        .bind(stage.updatedAt);
    return bindEnd(statement, stage)
        .bindText(stage.outputs)
        .bind(stage.approved)
        .bind(stage.startedCorrected)
        .bindText(std::string(toString(stage.intent)))
        .bindText(stage.intentActor)
        .bindText(stage.intentReason)
        .bind(stage.intentStartedAt)
        .bind(stage.intentEndedAt)
        .bind(stage.retryAt)
        .bind(stage.stuckSince)
        .bind(stage.stuckWhy)
        .bind(stage.version);
}

/// Every stored change is seen in updatedAt, also two within one millisecond or over a clock set back.
template <typename Record> void touch(Record& record)
{
    record.updatedAt = std::max(nowMs(), record.updatedAt + 1);
    ++record.version;
}

} // namespace

std::optional<Run> RunStore::run(const std::string& id)
{
    Statement& query = _connection.prepare("SELECT seq, " RUN_COLUMNS " FROM runs WHERE id = ?");
    std::optional<Run> found;
    if (query.bind(id).step())
        found = readRun(query);
    query.reset();
    return found;
}

std::vector<Run> RunStore::runs(const RunFilter& filter)
{
    Statement& query =
        filter.serviceId.empty()
            ? _connection.prepare("SELECT seq, " RUN_COLUMNS " FROM runs WHERE ?1 IS NULL "
                                  "AND (?2 IS NULL OR status = ?2) AND seq < ?3 "
                                  "ORDER BY seq DESC LIMIT ?4")
            : _connection.prepare("SELECT seq, " RUN_COLUMNS " FROM runs WHERE service_id = ?1 "
                                  "AND (?2 IS NULL OR status = ?2) AND seq < ?3 "
                                  "ORDER BY seq DESC LIMIT ?4");
    query.bindText(filter.serviceId)
        .bind(filter.status ? std::optional(toString(*filter.status)) : std::nullopt)
        .bind(filter.beforeSeq.value_or(INT64_MAX))
        .bind(filter.limit);
    std::vector<Run> found;
    while (query.step())
        found.push_back(readRun(query));
    query.reset();
    return found;
}

std::optional<Stage> RunStore::stage(const std::string& id)
{
    Statement& query = _connection.prepare("SELECT " STAGE_COLUMNS " FROM stages WHERE id = ?");
    std::optional<Stage> found;
    if (query.bind(id).step())
        found = readStage(query);
    query.reset();
    return found;
}

std::vector<Stage> RunStore::stages(const std::string& runId)
{
    Statement& query = _connection.prepare("SELECT " STAGE_COLUMNS
                                           " FROM stages WHERE run_id = ? ORDER BY ordinal");
    query.bind(runId);
    std::vector<Stage> found;
    while (query.step())
        found.push_back(readStage(query));
    query.reset();
    return found;
}

std::vector<Stage> RunStore::stuckStages()
{
    Statement& query = _connection.prepare(
        "SELECT " STAGE_COLUMNS " FROM stages WHERE stuck_since IS NOT NULL ORDER BY stuck_since");
    std::vector<Stage> found;
    while (query.step())
        found.push_back(readStage(query));
    query.reset();
    return found;
}

std::vector<Run> RunStore::openRuns()
{
    Statement& query = _connection.prepare(
        "SELECT seq, id, status, service_name, priority, resumed, holds_slot, wants_slot "
        "FROM runs WHERE status NOT IN ('SUCCESS', 'FAILURE') ORDER BY seq");
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

void RunStore::insert(Run& run)
{
    bindRun(_connection.prepare("INSERT INTO runs (" RUN_COLUMNS ") VALUES "
                                "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
            run)
        .run();
    Statement& seq = _connection.prepare("SELECT last_insert_rowid()");
    seq.step();
    run.seq = seq.integer();
    seq.reset();
}

void RunStore::insert(const Stage& stage)
{
    bindStage(_connection.prepare(
                  "INSERT INTO stages (" STAGE_COLUMNS ") VALUES "
                  "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
                  "?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
              stage)
        .run();
}

void RunStore::update(Run& run)
{
    touch(run);
    bindRun(_connection.prepare("UPDATE runs SET (" RUN_COLUMNS ") = "
                                "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
                                "WHERE seq = ?"),
            run)
        .bind(run.seq)
        .run();
}

void RunStore::update(Stage& stage)
{
    touch(stage);
    bindStage(_connection.prepare(
                  "UPDATE stages SET (" STAGE_COLUMNS ") = "
                  "(?1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
                  "?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE id = ?1"),
              stage)
        .run();
}

std::optional<Stage> RunStore::attempt(const std::string& stageId, int attempt)
{
    auto stage = this->stage(stageId);
    if (!stage)
        return std::nullopt;
    Statement& query = _connection.prepare("SELECT status, " END_COLUMNS
                                           " FROM attempts WHERE stage_id = ? AND attempt = ?");
    const bool kept = query.bind(stageId).bind(attempt).step();
    if (kept)
    {
        stage->status = statusFrom(query.text()).value_or(Status::Failure);
        readEnd(query, *stage);
    }
    query.reset();
    if (!kept && stage->attempt != attempt)
        return std::nullopt;
    stage->attempt = attempt;
    return stage;
}

void RunStore::keepAttempt(const Stage& stage)
{
    if (stage.attempt == 0)
        return; // it was skipped: nothing was tried
    Statement& insert = _connection.prepare(
        "INSERT OR IGNORE INTO attempts (stage_id, attempt, status, " END_COLUMNS ") VALUES "
        "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    insert.bind(stage.id).bind(stage.attempt).bind(toString(stage.status));
    bindEnd(insert, stage).run();
}

void RunStore::removeStage(const std::string& id)
{
    _connection.prepare("DELETE FROM stages WHERE id = ?").bind(id).run();
}

void RunStore::removeRun(const std::string& id)
{
    _connection.prepare("DELETE FROM runs WHERE id = ?").bind(id).run();
}

} // namespace agent
