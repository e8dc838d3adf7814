#include "agent/store/OutboxStore.h"

#include "agent/store/Query.h"
#include "agent/store/Tables.h"

namespace agent
{

namespace
{

const Query takeReportNumber{"INSERT INTO report_numbers (run_id, last) VALUES (?, 1) "
                             "ON CONFLICT (run_id) DO UPDATE SET last = last + 1 RETURNING last"};
const Query appendReport{reportTable.insert()};
const Query waitingReports{
    "SELECT seq, run_id, at, event FROM outbox WHERE target = ? AND seq > ? ORDER BY seq LIMIT ?"};
const Query reportBySeq{reportTable.select("WHERE seq = ?")};
const Query reportById{reportTable.select("WHERE id = ?")};
const Query reportsAfter{reportTable.select("WHERE seq > ? ORDER BY seq LIMIT ?", "body")};
const Query reportsOfTarget{"SELECT COUNT(*) FROM (SELECT 1 FROM outbox WHERE target = ? LIMIT ?)"};
const Query oldestOfTarget{"SELECT at FROM outbox WHERE target = ? ORDER BY seq LIMIT 1"};
const Query nextTarget{"SELECT target FROM outbox WHERE target > ? ORDER BY target LIMIT 1"};
const Query updateReport{"UPDATE outbox SET body = ? WHERE seq = ?"};
const Query deleteReport{"DELETE FROM outbox WHERE seq = ?"};
const Query deleteReportsOfTarget{"DELETE FROM outbox WHERE target = ?"};

std::optional<Report> one(Statement& query)
{
    std::optional<Report> found;
    if (query.step())
        reportTable.read(query, found.emplace());
    query.reset();
    return found;
}

} // namespace

std::int64_t OutboxStore::takeNumber(const std::string& runId)
{
    Statement& query = _connection.prepare(takeReportNumber).bind(runId);
    query.step();
    const std::int64_t number = query.integer();
    query.reset();
    return number;
}

void OutboxStore::append(const Report& report)
{
    reportTable.bindInsert(_connection.prepare(appendReport), report).run();
}

void OutboxStore::update(std::int64_t seq, const std::string& body)
{
    _connection.prepare(updateReport).bind(body).bind(seq).run();
}

std::vector<OutboxStore::Waiting> OutboxStore::waiting(const std::string& target,
                                                       std::int64_t after, int limit)
{
    Statement& query = _connection.prepare(waitingReports).bind(target).bind(after).bind(limit);
    std::vector<Waiting> found;
    while (query.step())
    {
        Waiting& one = found.emplace_back();
        one.seq = query.integer();
        one.runId = query.text();
        one.at = query.integer();
        one.lane = laneOf(one.runId, one.seq, query.text());
    }
    query.reset();
    return found;
}

std::optional<Report> OutboxStore::find(std::int64_t seq)
{
    return one(_connection.prepare(reportBySeq).bind(seq));
}

std::optional<Report> OutboxStore::find(const std::string& id)
{
    return one(_connection.prepare(reportById).bind(id));
}

std::vector<Report> OutboxStore::list(std::int64_t after, int limit)
{
    Statement& query = _connection.prepare(reportsAfter).bind(after).bind(limit);
    std::vector<Report> found;
    while (query.step())
        reportTable.read(query, found.emplace_back());
    query.reset();
    return found;
}

std::int64_t OutboxStore::count(const std::string& target, std::int64_t most)
{
    Statement& query = _connection.prepare(reportsOfTarget).bind(target).bind(most);
    const std::int64_t found = query.step() ? query.integer() : 0;
    query.reset();
    return found;
}

OutboxStore::Backlog OutboxStore::backlog(const std::string& target)
{
    Backlog backlog;
    backlog.reports = count(target, mostCounted);
    Statement& oldest = _connection.prepare(oldestOfTarget).bind(target);
    if (oldest.step())
        backlog.oldestAt = oldest.integer();
    oldest.reset();
    return backlog;
}

std::string OutboxStore::targetAfter(const std::string& name)
{
    Statement& query = _connection.prepare(nextTarget).bind(name);
    std::string found = query.step() ? query.text() : "";
    query.reset();
    return found;
}

bool OutboxStore::remove(std::int64_t seq)
{
    return _connection.prepare(deleteReport).bind(seq).run() > 0;
}

int OutboxStore::removeAll(const std::string& target)
{
    return _connection.prepare(deleteReportsOfTarget).bind(target).run();
}

} // namespace agent
