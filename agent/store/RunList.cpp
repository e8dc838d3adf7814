#include "agent/store/RunList.h"

#include "agent/store/Query.h"
#include "agent/store/Tables.h"

namespace agent
{

namespace
{

std::string runsWhere(const std::string& filter)
{
    return runTable.select("WHERE " + filter + "seq < ? ORDER BY seq DESC LIMIT ?", "pipeline");
}

std::string placesWhere(const std::string& filter)
{
    return "SELECT seq, id FROM runs WHERE " + filter + "seq < ? ORDER BY seq DESC LIMIT ?";
}

const std::string ofService = "service_id = ? AND ";
const std::string ofStatus = "status = ? AND ";
const Query runsOfAll{runsWhere("")};
const Query runsOfService{runsWhere(ofService)};
const Query runsOfStatus{runsWhere(ofStatus)};
const Query runsOfServiceAndStatus{runsWhere(ofService + ofStatus)};
const Query placesOfAll{placesWhere("")};
const Query placesOfService{placesWhere(ofService)};
const Query placesOfStatus{placesWhere(ofStatus)};
const Query placesOfServiceAndStatus{placesWhere(ofService + ofStatus)};

/// Returns the statement for what is filtered, which an index serves, with its parameters.
Statement& prepared(RecordSession& connection, const RunFilter& filter, int limit,
                    const Query* const (&queries)[4])
{
    const bool byService = !filter.serviceId.empty();
    Statement& query =
        connection.prepare(*queries[(byService ? 1 : 0) + (filter.status.has_value() ? 2 : 0)]);
    if (byService)
        query.bind(filter.serviceId);
    if (filter.status)
        query.bind(toString(*filter.status));
    return query.bind(filter.beforeSeq.value_or(INT64_MAX)).bind(limit);
}

} // namespace

std::vector<Run> RunList::runs(const RunFilter& filter)
{
    static constexpr const Query* queries[]{&runsOfAll, &runsOfService, &runsOfStatus,
                                            &runsOfServiceAndStatus};
    Statement& query = prepared(_connection, filter, filter.limit, queries);
    std::vector<Run> found;
    while (query.step())
        runTable.read(query, found.emplace_back());
    query.reset();
    return found;
}

std::optional<RunList::Page> RunList::page(const RunFilter& filter)
{
    static constexpr const Query* queries[]{&placesOfAll, &placesOfService, &placesOfStatus,
                                            &placesOfServiceAndStatus};
    Statement& query = prepared(_connection, filter, filter.limit + 1, queries);
    std::optional<Page> page;
    for (int count = 0; query.step(); ++count)
    {
        const std::int64_t seq = query.integer();
        std::string id = query.text();
        if (!page)
            page = Page{.firstSeq = seq};
        if (count == filter.limit)
            page->more = true;
        else
        {
            page->lastSeq = seq;
            page->lastId = std::move(id);
        }
    }
    query.reset();
    return page;
}

} // namespace agent
