#pragma once

#include "agent/model/Report.h"
#include "agent/store/Database.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace agent
{

/// Reports that wait for their targets. A thin view on a connection, as RunStore.
/// Errors: Poco::Data::DataException; nothing is changed then beyond the open transaction.
class OutboxStore
{
public:
    explicit OutboxStore(RecordSession& connection) : _connection(connection) {}

    /// Returns the number of the run's next report, and takes it. The numbers end with the run.
    std::int64_t takeNumber(const std::string& runId);

    void append(const Report& report);

    /// Replaces what is sent of a report: how far a log has come. One that is gone is passed over.
    void update(std::int64_t seq, const std::string& body);

    /// A report without what is sent.
    struct Waiting
    {
        std::int64_t seq = 0;
        std::string runId;
        TimeMs at = 0;
        std::string lane; ///< laneOf()
    };

    /// At most `limit` of the target's reports with a greater seq than `after`, oldest first.
    [[nodiscard]] std::vector<Waiting> waiting(const std::string& target, std::int64_t after,
                                               int limit);

    [[nodiscard]] std::optional<Report> find(std::int64_t seq);
    [[nodiscard]] std::optional<Report> find(const std::string& id);

    /// At most `limit` reports of all targets with a greater seq than `after`, oldest first, without body.
    [[nodiscard]] std::vector<Report> list(std::int64_t after, int limit);

    /// Returns how many reports wait for the target, `most` at most.
    [[nodiscard]] std::int64_t count(const std::string& target, std::int64_t most);

    /// What backlog() counts up to: it is asked for at each look at /metrics.
    static constexpr std::int64_t mostCounted = 100'000;

    /// How many reports wait for the target, `mostCounted` at most, and since when.
    struct Backlog
    {
        std::int64_t reports = 0;
        std::optional<TimeMs> oldestAt;
    };
    [[nodiscard]] Backlog backlog(const std::string& target);

    /// Returns the first target behind `name`, in the order of names, for which reports wait; empty: none.
    [[nodiscard]] std::string targetAfter(const std::string& name);

    /// Removes a report. Returns whether it was there.
    bool remove(std::int64_t seq);

    /// Removes all reports of a target. Returns how many.
    int removeAll(const std::string& target);

private:
    RecordSession& _connection;
};

} // namespace agent
