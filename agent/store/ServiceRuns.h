#pragma once

#include "agent/store/RunList.h"

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace agent
{

/// The services whose runs are asked for: some, which may be none, or all.
class ServiceChoice
{
public:
    static ServiceChoice all() { return ServiceChoice(std::nullopt); }
    static ServiceChoice only(std::vector<std::string> ids)
    {
        return ServiceChoice(std::move(ids));
    }

    [[nodiscard]] bool isAll() const { return !_ids; }

    /// There are some unless it is all.
    [[nodiscard]] const std::vector<std::string>& ids() const { return *_ids; }

private:
    explicit ServiceChoice(std::optional<std::vector<std::string>> ids) : _ids(std::move(ids)) {}

    std::optional<std::vector<std::string>> _ids; ///< nullopt: all
};

/// Runs of several services, or statuses, as one list. A thin view on a connection, as RunList.
/// Errors: Poco::Data::DataException.
class ServiceRuns
{
public:
    explicit ServiceRuns(RecordSession& connection) : _connection(connection) {}

    /// The services of which there are runs: id, and the name in the oldest one. Reads one row each.
    [[nodiscard]] std::vector<std::pair<std::string, std::string>> services();

    /// As those of RunList, but only of `services`, and of any number of statuses. They read, beside what they return,
    /// some rows of each service and status.
    [[nodiscard]] std::vector<Run> runs(const RunFilter& filter, const ServiceChoice& services);
    [[nodiscard]] std::optional<RunList::Page> page(const RunFilter& filter,
                                                    const ServiceChoice& services);

    /// Returns whether there is a run of the service of this commit and branch that is none of a pull request: that one has
    /// fewer secrets and stages.
    [[nodiscard]] bool hasRun(const std::string& serviceName, const std::string& commit,
                              const std::string& branch);

private:
    /// Gives the runs to `take`, newest first, until it returns false.
    void merge(const RunFilter& filter, const ServiceChoice& services,
               const std::function<bool(Run&)>& take);

    RecordSession& _connection;
};

} // namespace agent
