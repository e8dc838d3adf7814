#pragma once

#include "agent/model/Run.h"
#include "agent/model/Stage.h"
#include "agent/store/Database.h"

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace agent
{

/// What the record says of how a run stands: what failed in it, and what it waits for. A thin view on a
/// connection, as RunStore.
/// Errors: Poco::Data::DataException.
class RunOutlook
{
public:
    explicit RunOutlook(RecordSession& connection) : _connection(connection) {}

    struct FailedStage
    {
        std::string id;
        StageType type = StageType::Other;
        std::string name;
        std::optional<Cause> cause;
    };

    /// Returns the first stage of the run that failed; nothing when none did.
    [[nodiscard]] std::optional<FailedStage> failedStage(const std::string& runId);

    struct CurrentStage
    {
        std::string id;
        StageType type = StageType::Other;
        std::string name;
        std::optional<TimeMs> stuckSince;
    };

    /// Returns the first stage of the run that is in progress or awaits an approval; nothing when none is.
    [[nodiscard]] std::optional<CurrentStage> currentStage(const std::string& runId);

    struct StageState
    {
        std::string id;
        StageType type = StageType::Other;
        std::string name;
        std::string status;
        std::optional<Cause> cause;
        std::string skipped; ///< why it never runs; empty: it may
        std::optional<TimeMs> startedAt;
        std::optional<TimeMs> endedAt;
        std::int64_t earlierMs = 0; ///< how long its earlier attempts took together
    };

    /// Returns the stages of the run in order, as far as a list of runs shows them.
    [[nodiscard]] std::vector<StageState> stageStates(const std::string& runId);

    /// What the newest attempts of its stages left together. None: no stage has any of it.
    struct Results
    {
        std::optional<std::int64_t> testsTotal;
        std::optional<std::int64_t> testsFailed;
        std::optional<std::int64_t> testsSkipped;
        std::optional<std::int64_t> artifactFiles;
        std::optional<std::int64_t> artifactBytes;
    };
    [[nodiscard]] Results results(const std::string& runId);

    /// Why a run that has begun holds no slot, and wants none.
    struct Pause
    {
        std::optional<TimeMs> retryAt; ///< when the next attempt of its stage begins
        bool external = false;         ///< an outside party has its stage
    };
    [[nodiscard]] Pause pause(const std::string& runId);

    /// Returns until when the stage that awaits an approval does; nothing where it waits for ever.
    [[nodiscard]] std::optional<TimeMs> approvalUntil(const std::string& runId);

    /// Returns the places of the runs that get slots next, from 1: of the first hundred that wait for one.
    [[nodiscard]] std::unordered_map<std::string, int> places();

    /// Returns at most `limit` runs of the service, by its name, that have begun and not ended, oldest first.
    [[nodiscard]] std::vector<std::string> begun(const std::string& serviceName, int limit);

private:
    RecordSession& _connection;
};

} // namespace agent
