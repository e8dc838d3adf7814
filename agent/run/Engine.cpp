#include "agent/run/Engine.h"

#include "agent/store/RecordReserve.h"
#include "agent/wire/Failpoint.h"

#include <Poco/Exception.h>

#include <algorithm>

#include <sys/prctl.h>

namespace agent
{

namespace
{

/// A batch that could not be committed is tried again this often.
constexpr std::int64_t againMs = 1000;

/// For the next try: a log that a reader had kept from being written over is full, and only a commit would do this.
void emptyLog(RecordSession& writer)
try
{
    writer.checkpoint();
}
catch (const Poco::Exception&)
{
    return; // the next try says why
}

std::exception_ptr unavailable(const std::string& why)
{
    return std::make_exception_ptr(Declined::unavailable("unavailable", why));
}

} // namespace

Engine::Engine(EngineOptions options, Database& database, const StateFolder& state,
               const PluginRegistry& plugins, const ServiceCatalog& services, StageRunner& runner,
               CleanupWorker& cleanup, Listener listener)
    : _database(database),
      _listener(std::move(listener)),
      _parts(std::move(options), state, plugins, services, runner, cleanup)
{
}

Engine::~Engine()
{
    stop();
}

void Engine::start()
{
    // The first batch, before anyone can ask: if it can't be written the daemon must not pretend to run.
    std::vector<Command> recovery;
    recovery.push_back(
        {.apply =
             [this](Batch& batch)
         {
             _parts.retention.begin(batch);
             _parts.recovery.recover(batch);
             batch.retentionDue = Retention::kinds; // much may have become due meanwhile
         },
         .refuse = [](const std::exception_ptr& error) { std::rethrow_exception(error); }});
    runBatch(recovery);
    _thread = std::thread([this] { work(); });
}

void Engine::stop()
{
    {
        const std::lock_guard lock(_mutex);
        _stopping = true;
    }
    _parts.runner.wake();
    if (!_thread.joinable())
        return;
    _thread.join();
    recordSyncs();
    _parts.runner.close();
}

/// A host that goes down in order, after us, loses nothing: what is synced now must not look lost later.
void Engine::recordSyncs()
{
    constexpr std::chrono::seconds patience{5};
    try
    {
        const auto results = _parts.sync.finish(patience);
        if (results.empty())
            return;
        Batch batch(_database.writer(), _parts.queue);
        Transaction transaction(batch.connection);
        for (const auto& result : results)
            _parts.sync.record(batch, result);
        transaction.commit();
    }
    catch (const std::exception&)
    {
        _listener.log("nothing could be written: " + textOf(std::current_exception()));
    }
}

void Engine::tell(std::function<void(Batch&)> command)
{
    post({.apply = std::move(command), .refuse = [](const std::exception_ptr&) {}});
}

bool Engine::ping(std::chrono::milliseconds timeout)
{
    std::future<void> answer;
    {
        const std::lock_guard lock(_mutex);
        if (_stopping)
            return false;
        answer = _pings.emplace_back().get_future();
    }
    _parts.runner.wake();
    return answer.wait_for(timeout) == std::future_status::ready;
}

EngineStatus Engine::status() const
{
    EngineStatus status;
    {
        const std::lock_guard lock(_mutex);
        status = _status;
    }
    const FreeSpace free = _parts.disk.free();
    status.freeBytes = free.bytes;
    status.freeInodes = free.inodes;
    status.diskLack = _parts.disk.lack(free);
    status.diskLow = !status.diskLack.empty();
    return status;
}

void Engine::post(Command command)
{
    std::unique_lock lock(_mutex);
    if (_stopping)
    {
        lock.unlock();
        return command.refuse(unavailable("the agent is stopping"));
    }
    _mailbox.push_back(std::move(command));
    lock.unlock();
    _parts.runner.wake();
}

void Engine::work()
{
    ::prctl(PR_SET_NAME, "engine"); // the watchdog knows it by this name
    bool failing = false;
    while (true)
    {
        auto timeout = _parts.timers.untilNext();
        if (failing)
            timeout = std::min(timeout.value_or(againMs), againMs);
        else if (!_work.empty())
            timeout = 0;
        collectWork(timeout);
        auto commands = takeMailbox();
        if (!commands)
            break;
        if (commands->empty() && _work.empty() && !failing)
            continue;
        failing = !runBatch(*commands);
    }

    const auto error =
        unavailable("the agent is stopping; what was decided is on record and will be carried out");
    std::vector<Command> left;
    {
        const std::lock_guard lock(_mutex);
        left.swap(_mailbox);
        _pings.clear();
    }
    for (auto& command : left)
        command.refuse(error);
    _parts.waiters.refuseAll(error);
}

/// Answers pings and returns the commands that came in; nothing when the engine is to stop.
std::optional<std::vector<Engine::Command>> Engine::takeMailbox()
{
    const std::lock_guard lock(_mutex);
    for (auto& ping : std::exchange(_pings, {}))
        ping.set_value();
    if (_stopping)
        return std::nullopt;
    return std::exchange(_mailbox, {});
}

/// Blocks for at most `timeoutMs` and turns what happened meanwhile into internal commands.
void Engine::collectWork(std::optional<std::int64_t> timeoutMs)
{
    for (auto& finished : _parts.runner.wait(timeoutMs))
    {
        const std::string stageId = finished.stageId;
        _work.push_back({.apply = [this, end = std::move(finished)](Batch& batch)
                         { _parts.attemptEnd.record(batch, end); },
                         .stageId = stageId});
    }
    for (const auto& found : _parts.runner.takeUnkillable())
        _work.push_back({.apply =
                             [this, found](Batch& batch)
                         {
                             _parts.stuckWatch.unkillable(batch, found);
                             batch.afterCommit.push_back([this, found]
                                                         { _parts.waiters.unkillable(found); });
                         },
                         .stageId = found.stageId});
    for (auto& result : _parts.sync.take())
        _work.push_back(
            {.apply = [this, result](Batch& batch) { _parts.sync.record(batch, result); }});
    for (const auto& timer : _parts.timers.takeDue())
    {
        // A stage at work goes on without those two.
        const bool needed =
            timer.kind != TimerKind::ShimRecord && timer.kind != TimerKind::StuckCheck;
        _work.push_back({.apply = [this, timer](Batch& batch) { _parts.due(batch, timer); },
                         .stageId = needed ? timer.stageId : std::string()});
    }
}

/// Runs all that has come in as one transaction. Returns whether it could be written.
bool Engine::runBatch(std::vector<Command>& commands)
{
    Batch batch(_database.writer(), _parts.queue);
    try
    {
        Transaction transaction(batch.connection);
        if (!status().alive)
            batch.runs.probe(); // whether it can be written again
        keepFreePages(batch);
        for (auto& command : _work)
            applyOne(batch, command);
        for (auto& command : commands)
            applyOne(batch, command);
        _parts.scheduler.schedule(batch);
        applyRetention(batch);
        transaction.commit();
    }
    catch (const std::exception&)
    {
        batch.rollBack();
        tellThatItFails(textOf(std::current_exception()));
        emptyLog(_database.writer());
        {
            const std::lock_guard lock(_mutex);
            _status.alive = false;
        }
        statusChanged();
        for (auto& command : commands)
            command.refuse(unavailable(
                "the record can't be written (is the disk full?); nothing was changed"));
        return false;
    }
    _work.clear();
    carryOut(batch);
    if (std::exchange(_failureTold, std::nullopt))
        _listener.log("the record can be written again");
    return true;
}

/// First in the batch, so that what it writes has them.
void Engine::keepFreePages(Batch& batch)
{
    constexpr unsigned batchesBetween = 64; // they use up far fewer pages
    constexpr std::int64_t enough = std::int64_t{16} << 20;
    if (FreePages::release(batch.connection))
        batch.afterCommit.push_back([this] { _database.writer().checkpoint(); });
    if (++_batches % batchesBetween == 0 && !_parts.disk.low(batch) &&
        _parts.disk.free().bytes > enough)
        FreePages::take(batch.connection);
}

/// It is tried again each second.
void Engine::tellThatItFails(const std::string& why)
{
    constexpr std::chrono::minutes between{1};
    const auto now = std::chrono::steady_clock::now();
    if (_failureTold && now < *_failureTold + between)
        return;
    _failureTold = now;
    _listener.log("nothing could be written, and is tried again each second: " + why);
}

/// A command that fails takes back its own changes and no others.
void Engine::applyOne(Batch& batch, Command& command)
{
    const auto error = batch.attempt([&] { command.apply(batch); });
    if (!error)
        return;
    if (command.refuse)
        batch.afterCommit.push_back([refuse = command.refuse, error] { refuse(error); });
    else
    {
        _listener.log("can't be done, and is given up: " + textOf(error));
        if (const auto stage = batch.runs.stage(command.stageId))
            _parts.flow.abandon(batch, stage->runId, textOf(error));
    }
}

/// Last in the batch: a run that is tried again in it keeps its workspace.
void Engine::applyRetention(Batch& batch)
{
    const auto error = batch.attempt([&] { _parts.retention.apply(batch); });
    if (error)
        _listener.log("what has reached its age can't be removed: " + textOf(error));
}

/// The effects of a batch that is on disk. Stages first: nothing else is to delay their start.
void Engine::carryOut(Batch& batch)
{
    carryOut(batch.launches);
    refreshStatus(batch);
    statusChanged();
    if (!batch.changedRuns.empty())
        _listener.changed(batch.changedRuns);
    if (batch.reported && _listener.reported)
        _listener.reported();
    for (const auto& line : batch.log)
        _listener.log(line);
    carryOut(batch.afterCommit);
}

void Engine::carryOut(std::vector<std::function<void()>>& effects)
{
    for (auto& effect : effects)
    {
        try
        {
            FAILPOINT("effect");
            effect();
        }
        catch (const std::exception&)
        {
            _listener.log("after a commit: " + textOf(std::current_exception()));
        }
    }
}

void Engine::refreshStatus(const Batch& batch)
{
    EngineStatus status{.slots = _parts.queue.slots(),
                        .running = _parts.queue.running(),
                        .queued = _parts.queue.waiting(),
                        .draining = _parts.queue.draining(),
                        .alive = true,
                        .cgroup = _parts.runner.hasCgroup()};
    std::shared_ptr<const StageCounts> counts = _status.counts; // only this thread writes it
    try
    {
        RunStore runs(_database.writer());
        if (!batch.endedStages.empty())
        {
            auto more = std::make_shared<StageCounts>(*counts);
            for (const auto& stage : batch.endedStages)
                more->count(stage, runs.serviceOf(stage.runId));
            counts = std::move(more);
        }
        for (const auto& found : _parts.runner.allUnkillable())
            if (const auto stage = runs.stage(found.stageId))
                status.blockedSlots.push_back(
                    {stage->id, stage->runId, found.processes, found.since});
    }
    catch (const Poco::Exception&)
    {
        status.alive = false;
    }
    const std::lock_guard lock(_mutex);
    status.counts = std::move(counts);
    status.stuck = _status.stuck + batch.stuckStages;
    _status = std::move(status);
}

void Engine::statusChanged() const
{
    if (_listener.status)
        _listener.status();
}

} // namespace agent
