#pragma once

#include "agent/store/RunList.h"

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace agent
{

/// Runs of several services, or statuses, as one list. A thin view on a connection, as RunList.
/// Errors: Poco::Data::DataException.
class ServiceRuns
{
public:
    explicit ServiceRuns(RecordSession& connection) : _connection(connection) {}

    /// The services of which there are runs: id, and the name in the oldest one. Reads one row each.
    [[nodiscard]] std::vector<std::pair<std::string, std::string>> services();

    using Ids = std::optional<std::vector<std::string>>; ///< nullopt: all

    /// As those of RunList, but only of the services with these ids, and of any number of statuses. They read,
    /// beside what they return, some rows of each service and status.
    [[nodiscard]] std::vector<Run> runs(const RunFilter& filter, const Ids& ids);
    [[nodiscard]] std::optional<RunList::Page> page(const RunFilter& filter, const Ids& ids);

private:
    /// Gives the runs to `take`, newest first, until it returns false.
    void merge(const RunFilter& filter, const Ids& ids, const std::function<bool(Run&)>& take);

    RecordSession& _connection;
};

} // namespace agent
