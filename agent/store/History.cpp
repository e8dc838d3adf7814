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
const Query entriesOfStage{
    historyTable.select("WHERE stage_id = ? AND seq > ? ORDER BY seq LIMIT ?")};
const Query entriesOfRun{historyTable.select("WHERE run_id = ? AND seq > ? ORDER BY seq LIMIT ?")};
const Query entriesAfter{historyTable.select("WHERE seq > ? ORDER BY seq LIMIT ?")};
const Query remarkOfStage{"SELECT 1 FROM history WHERE stage_id = ? AND reason IS NOT NULL "
                          "AND actor <> 'agent' ORDER BY seq LIMIT 1 OFFSET ?"};
// `+`: by the index of the run, not by that of all entries without a stage.
const Query correctionOfRun{"SELECT 1 FROM history WHERE run_id = ? AND +stage_id IS NULL "
                            "AND from_status = to_status ORDER BY seq LIMIT 1 OFFSET ?"};
const Query timeOfEntry{"SELECT at FROM history WHERE seq = ?"};
const Query newestEntry{"SELECT COALESCE(MAX(seq), 0) FROM history"};

bool any(Statement& query)
{
    const bool found = query.step();
    query.reset();
    return found;
}

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

bool History::hasRemarks(const std::string& stageId, int count)
{
    return any(_connection.prepare(remarkOfStage).bind(stageId).bind(count - 1));
}

bool History::hasCorrections(const std::string& runId, int count)
{
    return any(_connection.prepare(correctionOfRun).bind(runId).bind(count - 1));
}

std::vector<HistoryEntry> History::ofStage(const std::string& stageId, std::int64_t after,
                                           int limit)
{
    return read(_connection.prepare(entriesOfStage).bind(stageId).bind(after).bind(limit));
}

std::vector<HistoryEntry> History::ofRun(const std::string& runId, std::int64_t after, int limit)
{
    return read(_connection.prepare(entriesOfRun).bind(runId).bind(after).bind(limit));
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

std::optional<TimeMs> History::lastAt()
{
    Statement& query = _connection.prepare(timeOfEntry).bind(lastSeq());
    const auto at = query.step() ? query.maybeInteger() : std::nullopt;
    query.reset();
    return at;
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
