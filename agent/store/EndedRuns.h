#pragma once

#include "agent/model/Run.h"
#include "agent/model/Stage.h"
#include "agent/store/Database.h"

#include <cstdint>
#include <string>
#include <vector>

namespace agent
{

/// A place in the order in which runs or stages ended.
struct EndedPlace
{
    TimeMs at = 0;
    std::string id;
};

/// What has ended, in the order of its age: what retention goes through. A thin view on a connection, as RunStore.
/// Errors: Poco::Data::DataException.
class EndedRuns
{
public:
    explicit EndedRuns(RecordSession& connection) : _connection(connection) {}

    /// Returns how many runs have ended, but for those that are kept by hand. One row is read: the record keeps the count.
    [[nodiscard]] std::int64_t count();

    /// Those runs, the longest ended first: id, status, endedAt. None with a stage that is at work.
    [[nodiscard]] std::vector<Run> removable(int limit);

    /// Runs that ended after `place`, kept ones too, in the same form.
    [[nodiscard]] std::vector<Run> runs(const EndedPlace& place, int limit);

    /// Stages that ended, and were last changed, after `place`, in that order: id, runId, ordinal, type,
    /// attempt, updatedAt.
    [[nodiscard]] std::vector<Stage> stages(const EndedPlace& place, int limit);

private:
    RecordSession& _connection;
};

} // namespace agent
