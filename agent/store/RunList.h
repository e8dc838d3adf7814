#pragma once

#include "agent/model/Run.h"
#include "agent/store/Database.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace agent
{

/// Which runs a list shows.
struct RunFilter
{
    std::string serviceId;                 ///< empty: all
    std::vector<Status> statuses;          ///< one of them; empty: all
    std::string branch;                    ///< empty: all
    std::string commit;                    ///< what its hash begins with; empty: all
    std::string labelKey;                  ///< empty: all
    std::string labelValue;                ///< of that label
    std::optional<TimeMs> since;           ///< created then or later
    std::optional<TimeMs> until;           ///< created before
    std::optional<std::int64_t> beforeSeq; ///< only older ones
    int limit = 100;
};

/// Lists of runs, newest first; of at most one status, ServiceRuns has those of several.
/// Errors: Poco::Data::DataException.
class RunList
{
public:
    explicit RunList(RecordSession& connection) : _connection(connection) {}

    /// The runs without their pipelines, which may have megabytes each.
    [[nodiscard]] std::vector<Run> runs(const RunFilter& filter);

    /// Where a page of the list begins and ends. What is submitted or removed while it is sent does not
    /// move the place at which the next page begins.
    struct Page
    {
        std::int64_t firstSeq = 0;
        std::int64_t lastSeq = 0;
        std::string lastId;
        bool more = false; ///< there are older ones
    };

    /// Returns nothing when no run is in the page.
    [[nodiscard]] std::optional<Page> page(const RunFilter& filter);

private:
    class Rows;

    RecordSession& _connection;
};

} // namespace agent
