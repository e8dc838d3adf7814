#include "agent/store/History.h"

namespace agent
{

#define HISTORY_COLUMNS                                                                            \
    "at, run_id, stage_id, actor, from_status, to_status, cause, reason, attempt"

void History::append(const HistoryEntry& entry)
{
    _connection
        .prepare("INSERT INTO history (" HISTORY_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .bind(entry.at)
        .bind(entry.runId)
        .bindText(entry.stageId)
        .bind(entry.actor)
        .bindText(entry.from)
        .bindText(entry.to)
        .bind(entry.cause ? std::optional(toString(*entry.cause)) : std::nullopt)
        .bindText(entry.reason)
        .bind(entry.attempt)
        .run();
}

void History::forgetRun(const std::string& runId)
{
    _connection.prepare("DELETE FROM history WHERE run_id = ?").bind(runId).run();
}

void History::forgetDeletions(TimeMs before)
{
    _connection
        .prepare("DELETE FROM history WHERE to_status IS NULL AND stage_id IS NULL AND at < ?")
        .bind(before)
        .run();
}

std::vector<HistoryEntry> History::ofStage(const std::string& stageId)
{
    return read(
        _connection
            .prepare("SELECT " HISTORY_COLUMNS ", seq FROM history WHERE stage_id = ? ORDER BY seq")
            .bind(stageId));
}

std::vector<HistoryEntry> History::ofRun(const std::string& runId)
{
    return read(
        _connection
            .prepare("SELECT " HISTORY_COLUMNS ", seq FROM history WHERE run_id = ? ORDER BY seq")
            .bind(runId));
}

std::vector<HistoryEntry> History::after(std::int64_t seq, int limit)
{
    return read(_connection
                    .prepare("SELECT " HISTORY_COLUMNS
                             ", seq FROM history WHERE seq > ? ORDER BY seq LIMIT ?")
                    .bind(seq)
                    .bind(limit));
}

std::int64_t History::lastSeq()
{
    Statement& query = _connection.prepare("SELECT COALESCE(MAX(seq), 0) FROM history");
    const std::int64_t seq = query.step() ? query.integer() : 0;
    query.reset();
    return seq;
}

std::vector<HistoryEntry> History::read(Statement& query)
{
    std::vector<HistoryEntry> entries;
    while (query.step())
    {
        HistoryEntry& entry = entries.emplace_back();
        entry.at = query.integer();
        entry.runId = query.text();
        entry.stageId = query.text();
        entry.actor = query.text();
        entry.from = query.text();
        entry.to = query.text();
        entry.cause = causeFrom(query.text());
        entry.reason = query.text();
        entry.attempt = static_cast<int>(query.integer());
        entry.seq = query.integer();
    }
    query.reset();
    return entries;
}

} // namespace agent
