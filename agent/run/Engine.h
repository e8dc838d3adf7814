#pragma once

#include "agent/run/Batch.h"
#include "agent/run/EngineParts.h"
#include "agent/run/EngineStatus.h"

#include <chrono>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace agent
{

/// What a command answers once its batch is committed: a value; or, with `stageId`, what `fromEnd` makes
/// of the end of that stage when all its processes are gone. `fromEnd` may throw Declined.
template <typename T> struct Answer
{
    // A command that answers at once just returns the value.
    Answer(T now) : value(std::move(now)) {} // NOLINT(google-explicit-constructor)
    Answer(std::string awaited, std::function<T(const RecordedEnd&)> then)
        : stageId(std::move(awaited)), fromEnd(std::move(then))
    {
    }

    std::optional<T> value;
    std::string stageId;
    std::function<T(const RecordedEnd&)> fromEnd;
};

/// The answer of a command that has nothing to say.
struct Done
{
};

/// The one thread on which runs and stages change. It takes commands out of a mailbox, runs those that
/// came in together as one transaction, and after its commit answers them and carries out its effects.
/// What commands do is not known here: see SubmitRun.h, PatchStage.h, StopRun.h …
///
/// The record is the only truth: a command reads what it needs and writes what it decides. One that
/// fails takes back its own changes and no others.
class Engine
{
public:
    /// Called after each commit on the engine's thread, `status` also after one that failed; must not block.
    struct Listener
    {
        std::function<void(const std::set<std::string>& runIds)> changed;
        std::function<void(const std::string& line)> log; ///< an error of the agent, one line
        std::function<void()> status = {};   ///< status() may return something else now
        std::function<void()> reported = {}; ///< there are new reports for targets
    };

    Engine(EngineOptions options, Database& database, const StateFolder& state,
           const PluginRegistry& plugins, const ServiceCatalog& services, StageRunner& runner,
           CleanupWorker& cleanup, Listener listener);
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;
    ~Engine();

    /// Recovers what the last daemon left open, then starts the thread.
    /// Errors: those of the record.
    void start();

    /// Ends the thread; stages go on without it. Waiting callers get Declined, Unavailable.
    void stop();

    /// Runs `command` in the next batch and blocks until it is on disk, some until processes are gone.
    /// Errors: Declined, and nothing was changed. Threads: any.
    template <typename T> T call(std::function<Answer<T>(Batch&, EngineParts&)> command);

    /// Runs `command` in the next batch; nobody learns of its failure. Never blocks. Threads: any.
    void tell(std::function<void(Batch&)> command);

    /// Returns whether the thread answered within `timeout`. Threads: any.
    [[nodiscard]] bool ping(std::chrono::milliseconds timeout);

    /// Returns how it was set up. Threads: any; it never changes.
    [[nodiscard]] const EngineOptions& options() const { return _parts.options; }

    /// Returns the state after the last transaction, and the disk as it is now. Threads: any.
    [[nodiscard]] EngineStatus status() const;

private:
    /// Something to be done in a batch. `refuse` set: a caller waits for it, and it is not tried again.
    struct Command
    {
        std::function<void(Batch&)> apply;
        std::function<void(std::exception_ptr)> refuse;
        std::string stageId; ///< of an internal one: its run can't go on if it fails
    };

    void post(Command command);
    void work();
    std::optional<std::vector<Command>> takeMailbox();
    void collectWork(std::optional<std::int64_t> timeoutMs);
    bool runBatch(std::vector<Command>& commands);
    void applyOne(Batch& batch, Command& command);
    void carryOut(Batch& batch);
    void carryOut(std::vector<std::function<void()>>& effects);
    void applyRetention(Batch& batch);
    void keepFreePages(Batch& batch);
    void tellThatItFails(const std::string& why);
    void refreshStatus(const Batch& batch);
    void statusChanged() const;
    void recordSyncs();

    Database& _database;
    Listener _listener;
    EngineParts _parts;
    std::vector<Command> _work; ///< internal commands, kept until committed
    unsigned _batches = 0;
    std::optional<std::chrono::steady_clock::time_point> _failureTold; ///< while it fails

    mutable std::mutex _mutex;
    std::vector<Command> _mailbox;          // guarded by _mutex
    std::vector<std::promise<void>> _pings; // guarded by _mutex
    bool _stopping = false;                 // guarded by _mutex
    EngineStatus _status;                   // guarded by _mutex
    std::thread _thread;
};

template <typename T> T Engine::call(std::function<Answer<T>(Batch&, EngineParts&)> command)
{
    auto promise = std::make_shared<std::promise<T>>();
    auto future = promise->get_future();
    const auto apply = [this, promise, command = std::move(command)](Batch& batch)
    {
        Answer<T> answer = command(batch, _parts);
        if (answer.value)
            return batch.afterCommit.push_back([promise, value = std::move(*answer.value)]() mutable
                                               { promise->set_value(std::move(value)); });
        _parts.waiters.add(batch, answer.stageId,
                           [promise, fromEnd = std::move(answer.fromEnd)](
                               const RecordedEnd* end, const std::exception_ptr& error)
                           {
                               if (!end)
                                   return promise->set_exception(error);
                               try
                               {
                                   promise->set_value(fromEnd(*end));
                               }
                               catch (const std::exception&)
                               {
                                   promise->set_exception(std::current_exception());
                               }
                           });
    };
    post({.apply = apply,
          .refuse = [promise](std::exception_ptr error) { promise->set_exception(error); }});
    return future.get();
}

} // namespace agent
