#include "agent/store/ServiceRuns.h"

#include "agent/store/Query.h"

#include <algorithm>

namespace agent
{

namespace
{

const Query runOfCommit{
    "SELECT 1 FROM runs WHERE commit_hash = ? AND service_name = ? AND branch = ? "
    "AND trigger_type NOT IN ('PR_OPEN', 'PR_SYNC') LIMIT 1"};
const Query nextService{"SELECT service_id, service_name FROM runs WHERE service_id > ? "
                        "ORDER BY service_id, seq LIMIT 1"};

/// What is read ahead of a service, so that few runs of many services are not read one by one.
constexpr int rowsAhead = 16;

/// The runs of one service and status, from the newest to the oldest, read by pages.
struct Source
{
    RunFilter filter;
    std::vector<Run> rows; ///< the newest last

    /// Returns false when there are no more.
    bool fill(RunList& list)
    {
        rows = list.runs(filter);
        std::reverse(rows.begin(), rows.end());
        if (!rows.empty())
            filter.beforeSeq = rows.front().seq;
        return !rows.empty();
    }
};

} // namespace

std::vector<std::pair<std::string, std::string>> ServiceRuns::services()
{
    std::vector<std::pair<std::string, std::string>> found;
    std::string last;
    Statement& query = _connection.prepare(nextService);
    while (query.reset().bind(last).step())
    {
        last = query.text();
        found.emplace_back(last, query.text());
    }
    query.reset();
    return found;
}

std::vector<Run> ServiceRuns::runs(const RunFilter& filter, const ServiceChoice& services)
{
    if (services.isAll() && filter.statuses.size() < 2)
        return RunList(_connection).runs(filter);
    std::vector<Run> found;
    merge(filter, services,
          [&](Run& run)
          {
              found.push_back(std::move(run));
              return static_cast<int>(found.size()) < filter.limit;
          });
    return found;
}

std::optional<RunList::Page> ServiceRuns::page(const RunFilter& filter,
                                               const ServiceChoice& services)
{
    if (services.isAll() && filter.statuses.size() < 2)
        return RunList(_connection).page(filter);
    std::optional<RunList::Page> page;
    merge(filter, services,
          [&, count = 0](Run& run) mutable
          {
              if (!page)
                  page = RunList::Page{.firstSeq = run.seq};
              if (count++ == filter.limit)
              {
                  page->more = true;
                  return false;
              }
              page->lastSeq = run.seq;
              page->lastId = std::move(run.id);
              return true;
          });
    return page;
}

void ServiceRuns::merge(const RunFilter& filter, const ServiceChoice& services,
                        const std::function<bool(Run&)>& take)
{
    RunList list(_connection);
    std::vector<Source> sources;
    const auto add = [&](const std::string& id, const std::vector<Status>& statuses)
    {
        Source source{.filter = filter, .rows = {}};
        source.filter.serviceId = id;
        source.filter.statuses = statuses;
        source.filter.limit = std::min(filter.limit, rowsAhead);
        if (source.fill(list))
            sources.push_back(std::move(source));
    };
    for (const auto& id :
         services.isAll() ? std::vector<std::string>{filter.serviceId} : services.ids())
    {
        if (!filter.serviceId.empty() && filter.serviceId != id)
            continue;
        if (filter.statuses.empty())
            add(id, {});
        for (const Status status : filter.statuses)
            add(id, {status});
    }
    const auto older = [](const Source& one, const Source& other)
    { return one.rows.back().seq < other.rows.back().seq; };
    std::make_heap(sources.begin(), sources.end(), older);
    while (!sources.empty())
    {
        std::pop_heap(sources.begin(), sources.end(), older);
        Source& newest = sources.back();
        if (!take(newest.rows.back()))
            return;
        newest.rows.pop_back();
        if (newest.rows.empty() && !newest.fill(list))
            sources.pop_back();
        else
            std::push_heap(sources.begin(), sources.end(), older);
    }
}

bool ServiceRuns::hasRun(const std::string& serviceName, const std::string& commit,
                         const std::string& branch)
{
    Statement& query = _connection.prepare(runOfCommit).bind(commit).bind(serviceName).bind(branch);
    const bool found = query.step();
    query.reset();
    return found;
}

} // namespace agent
