#pragma once

#include "agent/model/Run.h"
#include "agent/model/Stage.h"
#include "agent/store/Database.h"

#include <optional>
#include <string>
#include <vector>

namespace agent
{

/// Runs and stages in the record. A thin view on a connection: what is read is what was last committed,
/// or on the writer what the open transaction says.
/// Errors: Poco::Data::DataException; nothing is changed then beyond the open transaction.
class RunStore
{
public:
    explicit RunStore(RecordSession& connection) : _connection(connection) {}

    /// Reads. An unknown id is nothing, an unknown run has no stages.
    [[nodiscard]] std::optional<Run> run(const std::string& id);
    [[nodiscard]] std::optional<Stage> stage(const std::string& id);
    /// The name of the run's service; empty for a pipeline of its own.
    [[nodiscard]] std::string serviceOf(const std::string& runId);
    /// The stage as its `attempt` ended; nothing when that is not on record.
    [[nodiscard]] std::optional<Stage> attempt(const std::string& stageId, int attempt);
    [[nodiscard]] std::vector<Stage> stages(const std::string& runId); ///< in execution order

    /// Running stages that are told as stuck, the oldest such first.
    [[nodiscard]] std::vector<Stage> stuckStages();

    /// How long the stage `name` of a service took when it ended well, in ms: its last 20 times, out of
    /// the service's last 100 runs. Runs without a service have none.
    [[nodiscard]] std::vector<std::int64_t> recentDurations(const std::string& serviceId,
                                                            const std::string& name);

    /// Runs that have not ended, oldest first, with no more of them than the queue needs: id, seq, status,
    /// serviceName, priority, resumed, holdsSlot, wantsSlot.
    [[nodiscard]] std::vector<Run> openRuns();

    /// Ids of older runs of the same service and branch, or pull request, that have not ended, the oldest first.
    [[nodiscard]] std::vector<std::string> openRunsLike(const Run& run);

    /// Sets seq of `run`.
    void insert(Run& run);
    void insert(const Stage& stage);

    /// Writes what can change of it; raises version and updatedAt in the record and in the argument.
    /// `sameStatus`: status, endedAt, service and branch are those on record and are not written, which costs half.
    void update(Run& run, bool sameStatus = false);
    void update(Stage& stage);

    /// Keeps how the stage's attempt ended, before another one takes its place. What was kept of it
    /// before stands.
    void keepAttempt(const Stage& stage);

    /// The attempt's files are on disk now. Changes nothing where that was not awaited.
    void setSynced(const std::string& stageId, int attempt);

    /// The power was cut before the attempt's files were on disk. `notes` as they are then.
    void setLost(const std::string& stageId, int attempt, const std::string& notes);

    /// The attempt that runs has the shim with this pid, started then. Changes nothing that is shown.
    void setShim(const std::string& stageId, int attempt, int pid, std::int64_t start);

    struct Attempted
    {
        std::string stageId;
        int attempt = 0;
    };

    /// Attempts whose files are not known to be on disk, running ones too.
    [[nodiscard]] std::vector<Attempted> unsynced();

    void removeStage(const std::string& id);
    void removeRun(const std::string& id); ///< and its stages

    /// Writes something that changes nothing. Errors: as all here, when nothing can be written.
    void probe();

private:
    RecordSession& _connection;
};

} // namespace agent
