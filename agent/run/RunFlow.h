#pragma once

#include "agent/model/Lifecycle.h"
#include "agent/model/Run.h"
#include "agent/run/Batch.h"
#include "agent/run/Executions.h"
#include "agent/run/Housekeeping.h"
#include "agent/run/StateFolder.h"
#include "agent/store/History.h"
#include "agent/store/RunStore.h"

#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace agent
{

class ServiceCatalog;

/// How the engine is set up; from the configuration.
struct EngineOptions
{
    int slots = 1;
    std::int64_t minFreeBytes = 0;
    std::int64_t stuckAfterMs = 0; ///< a stage without output for so long is told as stuck; 0: none
    std::map<StageType, std::int64_t> stuckAfterByType; ///< where a type has its own
    Retention retention;
    OrderDefaults orders;
};

/// What happened since the daemon started.
struct Counts
{
    std::map<std::pair<Status, Cause>, std::uint64_t> ended; ///< stages, each attempt for itself
    std::uint64_t stuck = 0;
};

/// How a recorded end came about, for those who wait for it.
struct RecordedEnd
{
    Stage stage;
    bool decided = false; ///< by a stop or an operator; else the stage ended by itself
};

/// How a run goes from stage to stage: the rules between Lifecycle (one stage) and Executions (its
/// processes). Works within a Batch on the record; reads no state of its own but what is derived.
/// Threads: the engine's.
class RunFlow
{
public:
    /// `timer(delayMs, stageId, attempt)` calls due() later, `forgetTimers(stageId)` does not; `ended`
    /// tells of each recorded end after its commit.
    struct Hooks
    {
        std::function<void(std::int64_t, const std::string&, int)> timer;
        std::function<void(const std::string&)> forgetTimers;
        std::function<void(const RecordedEnd&)> ended;
    };

    RunFlow(const EngineOptions& options, const StateFolder& state, const PluginRegistry& plugins,
            const ServiceCatalog& services, Executions& executions, Hooks hooks);

    /// Goes on with `run` as far as it can without waiting: starts the next stage, asks for approval,
    /// queues for a slot, or ends the run. Writes the run.
    void advance(Batch& batch, Run& run);

    /// Gives free slots to queued runs.
    void schedule(Batch& batch);

    /// Starts a stage now, without a look at slots. Writes the stage, not the run.
    void start(Batch& batch, Run& run, Stage& stage, const std::string& actor,
               const std::string& reason);

    /// Records how an attempt ended, retries it where its retry says so, and goes on with the run.
    void recordEnd(Batch& batch, const Finished& finished);

    /// Ends a stage that has no process (never had, or an outside party's). Writes the stage.
    void endWithoutProcess(Batch& batch, Stage& stage, Status status, Cause cause,
                           const std::string& actor, const std::string& reason);

    /// A timer ran out: a retry is due, an external stage has used up its time, or a running one may be
    /// stuck.
    void due(Batch& batch, const std::string& stageId, int attempt);

    /// A stage that is to end can't: it stays as it is, its slot with its run, and people are told.
    void cantEnd(Batch& batch, const Undying& undying);

    /// Takes up what was open when the last daemon ended. Source: design, "At start (Recovery)".
    void recover(Batch& batch);

    /// Ends a run that can't go on through a fault of ours: its next stage is FAILURE, PLUGIN_ERROR.
    void abandon(Batch& batch, const std::string& runId, const std::string& why);

    /// An external stage's time begins (anew) at its startedAt.
    void armTimeout(Batch& batch, const Run& run, const Stage& stage);

    void endRun(Batch& batch, Run& run, Status status, const std::string& actor,
                const std::string& reason);

    /// Writes the run and a history row where its status changed.
    void setStatus(Batch& batch, Run& run, Status status, const std::string& actor,
                   const std::string& reason);

    /// `text` without the secrets that the stages of the run have: the record is shown and kept.
    std::string masked(Batch& batch, const std::string& runId, const std::string& text) const;

    /// Writes a history row of a stage, its reason masked.
    void note(Batch& batch, const Stage& stage, Status from, const std::string& actor,
              const std::string& reason);

    [[nodiscard]] bool external(const Stage& stage) const;
    [[nodiscard]] StageState state(const Stage& stage) const
    {
        return stateOf(stage, external(stage));
    }
    [[nodiscard]] bool diskLow() const;
    [[nodiscard]] std::int64_t graceMs(const Run& run, const Stage& stage);

    std::shared_ptr<const PipelineSpec> pipeline(const Run& run);

    bool draining = false;
    Counts counts; ///< of what is committed

private:
    /// The actor of what nobody asked for.
    static constexpr const char* self = "agent";

    const StageSpec& specOf(const Run& run, const Stage& stage);
    void launch(Batch& batch, const Run& run, const Stage& stage);
    void takeOutputs(Run& run, Stage& stage);
    bool retry(Batch& batch, const Run& run, Stage& stage);
    void recoverStage(Batch& batch, Run& run, Stage& stage);
    void watchForStuck(Batch& batch, const Run& run, const Stage& stage);
    void lookWhetherStuck(Batch& batch, const Run& run, Stage& stage);
    void tellStuck(Batch& batch, Stage& stage, const std::string& why);
    void armLook(Batch& batch, const Stage& stage, std::int64_t delayMs);
    std::int64_t stuckAfterMs(const Run& run, const Stage& stage);

    bool diskLow(Batch& batch) const;
    std::int64_t timeoutOf(const Run& run, const Stage& stage);

    const EngineOptions& _options;
    const StateFolder& _state;
    const PluginRegistry& _plugins;
    const ServiceCatalog& _services;
    Executions& _executions;
    Hooks _hooks;
    bool _diskTimer = false; ///< a look at the disk is due
    std::map<std::string, std::shared_ptr<const PipelineSpec>> _pipelines; ///< of open runs, parsed
};

} // namespace agent
