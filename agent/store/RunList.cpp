#include "agent/store/RunList.h"

#include "agent/store/Query.h"
#include "agent/store/Tables.h"

#include <algorithm>

namespace agent
{

namespace
{

// One of these is served by an index, the others are looked at in each row that it finds.
const std::string anyService = "(?1 IS NULL OR service_id = ?1) AND ";
const std::string anyStatus = "(?2 IS NULL OR status = ?2) AND ";
const std::string anyBranch = "(?3 IS NULL OR branch = ?3) AND ";
const std::string ofService = "service_id = ?1 AND ";
const std::string ofStatus = "status = ?2 AND ";
const std::string ofBranch = "branch = ?3 AND ";
const std::string within = "(?4 IS NULL OR created_at >= ?4) AND (?5 IS NULL OR created_at < ?5) ";

std::string runsWhere(const std::string& filter)
{
    return runTable.select("WHERE " + filter + within +
                               "AND seq < ?6 AND seq >= ?7 ORDER BY seq DESC LIMIT ?8",
                           "pipeline");
}

const Query runsOfAll{runsWhere(anyService + anyStatus + anyBranch)};
const Query runsOfService{runsWhere(ofService + anyStatus + anyBranch)};
const Query runsOfStatus{runsWhere(anyService + ofStatus + anyBranch)};
const Query runsOfServiceAndStatus{runsWhere(ofService + ofStatus + anyBranch)};
const Query runsOfBranch{runsWhere(anyService + anyStatus + ofBranch)};
const Query runOfSeq{runTable.select(
    "WHERE " + anyService + anyStatus + anyBranch + within + "AND seq = ?6", "pipeline")};
const Query seqsOfCommit{"SELECT seq FROM runs WHERE commit_hash >= ? AND commit_hash < ?"};
const Query seqsOfTime{
    "SELECT MIN(seq), MAX(seq) FROM runs WHERE created_at >= ? AND created_at < ?"};

const Query runsOfLabel{
    runTable.select("JOIN run_labels ON run_seq = seq WHERE key = ?9 AND value = ?10 AND " +
                        anyService + anyStatus + anyBranch + within +
                        "AND run_seq < ?6 AND run_seq >= ?7 ORDER BY run_seq DESC LIMIT ?8",
                    "pipeline")};

const Query& queryFor(const RunFilter& filter)
{
    if (!filter.labelKey.empty())
        return runsOfLabel;
    if (!filter.branch.empty())
        return runsOfBranch;
    if (filter.serviceId.empty())
        return filter.statuses.empty() ? runsOfAll : runsOfStatus;
    return filter.statuses.empty() ? runsOfService : runsOfServiceAndStatus;
}

void bindFilter(Statement& query, const RunFilter& filter)
{
    query.bindText(filter.serviceId);
    if (filter.statuses.empty())
        query.bindNull();
    else
        query.bind(toString(filter.statuses.front()));
    query.bindText(filter.branch).bind(filter.since).bind(filter.until);
}

/// The smallest text that is behind all that begin with `prefix`.
std::string behind(std::string prefix)
{
    while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xff)
        prefix.pop_back();
    if (!prefix.empty())
        ++prefix.back();
    return prefix;
}

} // namespace

/// The rows that a filter leaves, newest first, one after the other.
class RunList::Rows
{
public:
    Rows(RecordSession& connection, const RunFilter& filter, int limit)
        : _connection(connection), _filter(filter), _left(limit)
    {
        const std::int64_t before = filter.beforeSeq.value_or(INT64_MAX);
        const auto [first, last] = bounds();
        if (!filter.commit.empty())
        {
            Statement& query = connection.prepare(seqsOfCommit);
            query.bind(filter.commit).bind(behind(filter.commit));
            while (query.step())
                if (const auto seq = query.integer(); seq < before && seq >= first && seq <= last)
                    _seqs.push_back(seq);
            query.reset();
            std::sort(_seqs.begin(), _seqs.end()); // few runs are of one commit
            return;
        }
        _query = &connection.prepare(queryFor(filter));
        bindFilter(*_query, filter);
        _query->bind(last < before - 1 ? last + 1 : before).bind(first).bind(limit);
        if (!filter.labelKey.empty())
            _query->bind(filter.labelKey).bind(filter.labelValue);
    }

    ~Rows()
    {
        if (_query != nullptr)
            _query->reset();
    }
    Rows(const Rows&) = delete;
    Rows& operator=(const Rows&) = delete;

    /// Returns false behind the last one.
    bool next(Run& run)
    {
        if (_filter.commit.empty())
        {
            if (!_query->step())
                return false;
            runTable.read(*_query, run);
            return true;
        }
        for (bool found = false; !_seqs.empty() && _left > 0;)
        {
            Statement& query = _connection.prepare(runOfSeq);
            bindFilter(query, _filter);
            found = query.bind(_seqs.back()).step();
            _seqs.pop_back();
            if (found)
                runTable.read(query, run);
            query.reset();
            found = found && hasLabel(run);
            if (found)
                return _left-- > 0;
        }
        return false;
    }

private:
    [[nodiscard]] bool hasLabel(const Run& run) const
    {
        const auto label = run.labels.find(_filter.labelKey);
        return _filter.labelKey.empty() ||
               (label != run.labels.end() && label->second == _filter.labelValue);
    }

    /// The places between which the runs of that time are: a clock may have been set back.
    std::pair<std::int64_t, std::int64_t> bounds()
    {
        if (!_filter.since && !_filter.until)
            return {0, INT64_MAX - 1};
        Statement& query = _connection.prepare(seqsOfTime);
        query.bind(_filter.since.value_or(0)).bind(_filter.until.value_or(INT64_MAX)).step();
        const auto first = query.maybeInteger();
        const auto last = query.maybeInteger();
        query.reset();
        return {first.value_or(0), last.value_or(-1)};
    }

    RecordSession& _connection;
    const RunFilter& _filter;
    int _left;
    Statement* _query = nullptr;
    std::vector<std::int64_t> _seqs; ///< of the commit, the newest last
};

std::vector<Run> RunList::runs(const RunFilter& filter)
{
    Rows rows(_connection, filter, filter.limit);
    std::vector<Run> found;
    for (Run run; rows.next(run); run = {})
        found.push_back(std::move(run));
    return found;
}

std::optional<RunList::Page> RunList::page(const RunFilter& filter)
{
    Rows rows(_connection, filter, filter.limit + 1);
    std::optional<Page> page;
    Run run;
    for (int count = 0; rows.next(run); ++count)
    {
        if (!page)
            page = Page{.firstSeq = run.seq};
        if (count == filter.limit)
            page->more = true;
        else
        {
            page->lastSeq = run.seq;
            page->lastId = std::move(run.id);
        }
        run = {};
    }
    return page;
}

} // namespace agent
