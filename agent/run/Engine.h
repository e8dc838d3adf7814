#pragma once

#include "agent/model/Declined.h"
#include "agent/process/ProcessTree.h"
#include "agent/run/Housekeeping.h"
#include "agent/run/RunFlow.h"

#include <atomic>
#include <chrono>
#include <exception>
#include <future>
#include <memory>
#include <mutex>
#include <thread>

namespace agent
{

/// A run to be made. Its pipeline was checked.
struct Submission
{
    PipelineSpec pipeline;
    std::string serviceId;
    std::string serviceName;
    std::string commit;
    std::string branch;
    std::string commitMessage;
    std::string committer;
    TriggerType trigger = TriggerType::Manual;
    std::optional<std::int64_t> pullNumber;
    std::int64_t priority = 0;
    std::string idempotencyKey; ///< empty: none
    std::string bodyHash;
    std::string actor;
};

/// The versions that a change is meant for; none is right when it is empty.
using Versions = std::vector<std::int64_t>;

/// What a PATCH of a stage asks for.
struct StagePatch
{
    std::optional<Status> status;
    std::optional<TimeMs> startedAt;
    std::optional<TimeMs> endedAt;
    std::optional<std::int64_t> durationSeconds; ///< must follow from the times
    std::string reason;
    std::optional<Versions> ifVersion; ///< If-Match
    std::string actor;
};

struct RunPatch
{
    std::optional<std::string> commitHash;
    std::optional<std::string> commitMessage;
    std::optional<std::string> committer;
    std::optional<std::int64_t> pullNumber;
    std::optional<TriggerType> trigger;
    std::optional<std::int64_t> priority;
    std::string actor;
};

/// The one place where runs and stages change: a thread with a mailbox. Each public method posts a
/// command and blocks until what it did is on disk, some until processes are gone as well.
/// Errors of all of them: Declined, and nothing was changed. Threads: any.
///
/// The record is the only truth: a command reads what it needs, decides by Lifecycle and RunFlow, and
/// writes. Commands that come together share a transaction; answers and effects follow its commit.
class Engine
{
public:
    /// What happened, told after each commit on the engine's thread; must not block.
    struct Listener
    {
        std::function<void(const std::set<std::string>& runIds)> changed;
        std::function<void(const std::string& line)> log; ///< an error of ours, one line
    };

    Engine(EngineOptions options, Database& database, const StateFolder& state,
           const PluginRegistry& plugins, const ServiceCatalog& services, Launcher launcher,
           Janitor& janitor, Listener listener);
    ~Engine();

    /// Recovers what the last daemon left open, then begins to work.
    void start();

    /// Ends the thread; stages go on under their shims. Waiting callers get Unavailable.
    void stop();

    struct Submitted
    {
        Run run;
        bool created = true; ///< false: the Idempotency-Key was there already
    };
    Submitted submit(const Submission& submission);

    /// Answers when no process of the stage is left where the patch ends a running one; Declined with
    /// `processes_remain` when one can't be ended. The decision stands then, and is carried out when it can.
    void patchStage(const std::string& id, const StagePatch& patch);

    /// Shape: the stage as it was.
    Stage deleteStage(const std::string& id, const std::optional<Versions>& ifVersion,
                      const std::string& actor);

    void patchRun(const std::string& id, const RunPatch& patch);
    Run deleteRun(const std::string& id, const std::string& actor);

    /// Shape: how many stages were ended by it. Answers when all processes are gone, or as patchStage().
    int stopRun(const std::string& id, const std::string& actor);

    /// Shape: the new run's id.
    std::string rerun(const std::string& id, const std::string& actor);

    void approve(const std::string& runId, const std::string& actor);

    /// The kept id of a service; made at its first use.
    std::string serviceId(const std::string& name);

    /// Looks at the queue again: something that it depends on has changed.
    void lookAgain();

    void drain(bool on);

    /// A slot that is of no use: its run's stage is to end and its processes can't be ended.
    struct SetAside
    {
        std::string stageId;
        std::string runId;
        std::string processes; ///< as in Undying
        TimeMs since = 0;
    };

    struct Facts
    {
        int slots = 0;
        int running = 0; ///< runs that hold a slot
        int queued = 0;  ///< runs that want one

        /// Of those that hold one: the stages that are to end and can't.
        std::vector<SetAside> setAside;
        bool draining = false;
        bool diskLow = false;
        std::int64_t freeBytes = 0;
        bool alive = false; ///< its last transaction went well
        bool cgroup = false;
        Counts counts;
    };
    [[nodiscard]] Facts facts() const;

    /// What `stage` does right now; empty when nothing of it runs. Does not ask the engine's thread:
    /// walks over /proc on the caller's.
    [[nodiscard]] std::vector<ProcessInfo> processes(const Stage& stage) const;

private:
    using Clock = std::chrono::steady_clock;

    /// Something to be done in a batch. `refuse` set: somebody waits for it, and it is not tried again.
    struct Command
    {
        std::function<void(Batch&)> apply;
        std::function<void(std::exception_ptr)> refuse;
        std::string stageId; ///< of an internal one: its run can't go on if it fails
    };

    struct Timer
    {
        Clock::time_point at;
        std::string stageId;
        int attempt = 0;
    };

    /// Is told once: the end of a stage, or an error in its place.
    using Waiter = std::function<void(const RecordedEnd* end, const std::exception_ptr& instead)>;

    template <typename T> using Promise = std::shared_ptr<std::promise<T>>;

    /// Posts `apply(batch, promise)` and waits for the promise, which `apply` keeps by answer() or, for
    /// an end that is yet to come, by a waiter.
    template <typename T> T call(std::function<void(Batch&, const Promise<T>&)> apply);
    template <typename T> static void answer(Batch& batch, const Promise<T>& promise, T value);

    void post(Command command);
    void work();
    bool runBatch(std::vector<Command>& commands);
    void applyOne(Batch& batch, Command& command);
    void mayWait(Batch& batch) const;
    [[nodiscard]] std::optional<std::int64_t> untilTimer() const;
    void takeDueTimers(std::vector<Command>& commands);
    void tidy(Batch& batch);
    static Declined remain(const Undying& undying);
    void takeUndying();
    void await(const std::string& stageId, Waiter waiter);
    void tell(const std::string& stageId, const RecordedEnd* end,
              const std::exception_ptr& instead);
    void refreshFacts();

    Stage need(Batch& batch, const std::string& stageId);
    Run needRun(Batch& batch, const std::string& runId);
    Submitted create(Batch& batch, const Submission& submission);
    void patchOne(Batch& batch, const StagePatch& patch, Stage& stage,
                  const Promise<bool>& promise);
    bool applyStatus(Batch& batch, const StagePatch& patch, Run& run, Stage& stage);
    void applyTimes(Batch& batch, const StagePatch& patch, Stage& stage);
    void remark(Batch& batch, const StagePatch& patch, Stage& stage);
    void decide(Batch& batch, Run& run, Stage& stage, Intent intent, const StagePatch& patch);
    void startByHand(Batch& batch, Run& run, Stage& stage, const StagePatch& patch);
    void skip(Batch& batch, Run& run, Stage& stage, const StagePatch& patch);
    void tryAgain(Batch& batch, Run& run, Stage& stage, const StagePatch& patch);
    void reopen(Batch& batch, Run& run, const StagePatch& patch);
    void needWorkspace(Batch& batch, const Run& run);
    void clearFolders();

    const EngineOptions _options;
    Database& _database;
    const StateFolder& _state;
    Janitor& _janitor;
    Listener _listener;
    Executions _executions;
    RunFlow _flow;
    Housekeeping _housekeeping;

    // The engine thread's own.
    std::vector<Command> _work; ///< internal commands, kept until committed
    std::vector<Timer> _timers;
    std::optional<Clock::time_point> _tidyAt;    ///< when the housekeeping has something to do
    std::multimap<std::string, Waiter> _waiters; ///< by stage id

    mutable std::mutex _mutex;
    std::vector<Command> _mailbox; // guarded by _mutex
    bool _stopping = false;        // guarded by _mutex
    Facts _facts;                  // guarded by _mutex
    std::thread _thread;
};

} // namespace agent
