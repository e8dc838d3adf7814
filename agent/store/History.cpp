#include "agent/store/History.h"

#include "agent/store/Query.h"
#include "agent/store/Tables.h"

namespace agent
{

namespace
{

const Query appendEntry{historyTable.insert()};
const Query deleteOfRun{"DELETE FROM history WHERE run_id = ?"};
const Query deleteDeletions{
    "DELETE FROM history WHERE to_status IS NULL AND stage_id IS NULL AND at < ?"};
const Query entriesOfStage{historyTable.select("WHERE stage_id = ? ORDER BY seq")};
const Query entriesOfRun{historyTable.select("WHERE run_id = ? ORDER BY seq")};
const Query entriesAfter{historyTable.select("WHERE seq > ? ORDER BY seq LIMIT ?")};
const Query newestEntry{"SELECT COALESCE(MAX(seq), 0) FROM history"};

} // namespace

void History::append(const HistoryEntry& entry)
{
    historyTable.bindInsert(_connection.prepare(appendEntry), entry).run();
}

void History::forgetRun(const std::string& runId)
{
    _connection.prepare(deleteOfRun).bind(runId).run();
}

void History::forgetDeletions(TimeMs before)
{
    _connection.prepare(deleteDeletions).bind(before).run();
}

std::vector<HistoryEntry> History::ofStage(const std::string& stageId)
{
    return read(_connection.prepare(entriesOfStage).bind(stageId));
}

std::vector<HistoryEntry> History::ofRun(const std::string& runId)
{
    return read(_connection.prepare(entriesOfRun).bind(runId));
}

std::vector<HistoryEntry> History::after(std::int64_t seq, int limit)
{
    return read(_connection.prepare(entriesAfter).bind(seq).bind(limit));
}

std::int64_t History::lastSeq()
{
    Statement& query = _connection.prepare(newestEntry);
    const std::int64_t seq = query.step() ? query.integer() : 0;
    query.reset();
    return seq;
}

std::vector<HistoryEntry> History::read(Statement& query)
{
    std::vector<HistoryEntry> entries;
    while (query.step())
        historyTable.read(query, entries.emplace_back());
    query.reset();
    return entries;
}

} // namespace agent
