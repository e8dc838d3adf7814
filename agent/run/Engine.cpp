#include "agent/run/Engine.h"

#include "agent/wire/Failpoint.h"

#include <Poco/Data/SQLite/SQLiteException.h>
#include <Poco/Exception.h>

#include <algorithm>

namespace agent
{

namespace
{

/// What could not be written is tried again this often.
constexpr std::int64_t againMs = 1000;

Declined unavailable(const std::string& why)
{
    return {Declined::Kind::Unavailable, "unavailable", why};
}

} // namespace

Declined Engine::remain(const Undying& undying)
{
    return {Declined::Kind::Conflict, "processes_remain",
            undying.processes +
                ". The stage is IN_PROGRESS and keeps its slot until they are gone; what was "
                "decided first is carried out then. Put right what they wait for"};
}

Engine::Engine(EngineOptions options, Database& database, const StateFolder& state,
               const PluginRegistry& plugins, const ServiceCatalog& services, Launcher launcher,
               Janitor& janitor, Listener listener)
    : _options(std::move(options)),
      _database(database),
      _state(state),
      _janitor(janitor),
      _listener(std::move(listener)),
      _executions(std::move(launcher)),
      _flow(_options, state, plugins, services, _executions,
            {.timer =
                 [this](std::int64_t delayMs, const std::string& stageId, int attempt) {
                     _timers.push_back(
                         {Clock::now() + std::chrono::milliseconds(delayMs), stageId, attempt});
                 },
             .forgetTimers =
                 [this](const std::string& stageId) {
                     std::erase_if(_timers,
                                   [&](const Timer& timer) { return timer.stageId == stageId; });
                 },
             .ended =
                 [this](const RecordedEnd& end)
             {
                 if (end.stage.cause == Cause::ShimLost)
                     _listener.log("stage " + end.stage.id + " (" + end.stage.name + " of run " +
                                   end.stage.runId + "): " + end.stage.message);
                 tell(end.stage.id, &end, nullptr);
             }}),
      _housekeeping(_options.retention, state, janitor)
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
             _flow.recover(batch);
             batch.ended = true; // much may have become due meanwhile
         },
         .refuse = [](const std::exception_ptr& error) { std::rethrow_exception(error); }});
    runBatch(recovery);
    clearFolders();
    _thread = std::thread([this] { work(); });
}

void Engine::stop()
{
    {
        const std::lock_guard lock(_mutex);
        _stopping = true;
    }
    _executions.wake();
    if (!_thread.joinable())
        return;
    _thread.join();
    _executions.close();
}

/// A daemon that died between the deletion of a run and that of its folder left the folder.
void Engine::clearFolders()
{
    std::error_code error;
    RunStore runs(_database.writer());
    for (const auto& group : std::filesystem::directory_iterator(_state.root() / "runs", error))
        for (const auto& folder : std::filesystem::directory_iterator(group.path(), error))
            if (!runs.run(folder.path().filename().string()))
                _janitor.discard(folder.path());
}

template <typename T> T Engine::call(std::function<void(Batch&, const Promise<T>&)> apply)
{
    auto promise = std::make_shared<std::promise<T>>();
    auto future = promise->get_future();
    post({.apply = [apply = std::move(apply), promise](Batch& batch) { apply(batch, promise); },
          .refuse = [promise](std::exception_ptr error) { promise->set_exception(error); }});
    return future.get();
}

template <typename T> void Engine::answer(Batch& batch, const Promise<T>& promise, T value)
{
    batch.afterCommit.push_back([promise, value = std::move(value)]() mutable
                                { promise->set_value(std::move(value)); });
}

void Engine::post(Command command)
{
    std::unique_lock lock(_mutex);
    if (_stopping)
    {
        lock.unlock();
        return command.refuse(std::make_exception_ptr(unavailable("the agent is stopping")));
    }
    _mailbox.push_back(std::move(command));
    lock.unlock();
    _executions.wake();
}

void Engine::work()
{
    bool failing = false;
    while (true)
    {
        auto timeout = untilTimer();
        if (failing)
            timeout = std::min(timeout.value_or(againMs), againMs);
        else if (!_work.empty())
            timeout = 0;
        for (auto& finished : _executions.wait(timeout))
        {
            const std::string stageId = finished.stageId;
            _work.push_back({.apply = [this, end = std::move(finished)](Batch& batch)
                             { _flow.recordEnd(batch, end); },
                             .stageId = stageId});
        }
        takeUndying();
        takeDueTimers(_work);

        std::vector<Command> commands;
        {
            const std::lock_guard lock(_mutex);
            if (_stopping)
                break;
            commands.swap(_mailbox);
        }
        if (commands.empty() && _work.empty() && !failing)
            continue;
        failing = !runBatch(commands);
    }

    const auto error = std::make_exception_ptr(unavailable(
        "the agent is stopping; what was decided is on record and will be carried out"));
    for (auto& command : std::exchange(_mailbox, {}))
        command.refuse(error);
    for (auto& [stageId, waiter] : std::exchange(_waiters, {}))
        waiter(nullptr, error);
}

/// One transaction for all that has come in. Shape: whether it could be written.
bool Engine::runBatch(std::vector<Command>& commands)
{
    Batch batch(_database.writer());
    try
    {
        Transaction transaction(batch.connection);
        if (!facts().alive)
            batch.runs.probe(); // whether it can be written again
        for (auto& command : _work)
            applyOne(batch, command);
        for (auto& command : commands)
            applyOne(batch, command);
        _flow.schedule(batch);
        if (batch.ended)
            tidy(batch);
        transaction.commit();
    }
    catch (const std::exception& error)
    {
        const auto* known = dynamic_cast<const Poco::Exception*>(&error);
        const std::string why = known ? known->displayText() : error.what();
        _listener.log("nothing could be written: " + why);
        {
            const std::lock_guard lock(_mutex);
            _facts.alive = false;
        }
        for (auto& command : commands)
            command.refuse(std::make_exception_ptr(unavailable(
                "the record can't be written (is the disk full?); nothing was changed")));
        return false;
    }
    _work.clear();
    for (const auto& count : batch.counted)
        count();
    refreshFacts();
    if (!batch.changedRuns.empty())
        _listener.changed(batch.changedRuns);
    for (auto& effect : batch.afterCommit)
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
    return true;
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
            _flow.abandon(batch, stage->runId, textOf(error));
    }
}

/// What is due of the housekeeping, and when it is to look again.
void Engine::tidy(Batch& batch)
{
    const auto error = batch.attempt(
        [&]
        {
            const auto next = _housekeeping.tidy(batch);
            batch.afterCommit.push_back(
                [this, next]
                {
                    _tidyAt.reset();
                    if (next)
                        _tidyAt = Clock::now() + std::chrono::milliseconds(*next);
                });
        });
    if (error)
        _listener.log("what is over can't be removed: " + textOf(error));
}

/// A request that waits for processes to end holds one of the server's threads: not all of them may.
void Engine::mayWait(Batch& batch) const
{
    constexpr std::size_t atMost = 16;
    if (_waiters.size() + batch.waiting++ >= atMost)
        throw Declined(Declined::Kind::Unavailable, "too_many_waiting",
                       "too many requests wait for stages to end; try again");
}

std::optional<std::int64_t> Engine::untilTimer() const
{
    std::optional<std::int64_t> next;
    const auto consider = [&next](Clock::time_point at)
    {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(at - Clock::now()).count();
        next = std::min(next.value_or(left), left);
    };
    for (const auto& timer : _timers)
        consider(timer.at);
    if (_tidyAt)
        consider(*_tidyAt);
    return next ? std::optional(std::max<std::int64_t>(0, *next)) : std::nullopt;
}

void Engine::takeDueTimers(std::vector<Command>& commands)
{
    const auto now = Clock::now();
    const auto due = std::partition(_timers.begin(), _timers.end(),
                                    [now](const Timer& timer) { return timer.at > now; });
    for (auto timer = due; timer != _timers.end(); ++timer)
        commands.push_back({.apply = [this, id = timer->stageId, attempt = timer->attempt](
                                         Batch& batch) { _flow.due(batch, id, attempt); }});
    _timers.erase(due, _timers.end());
    if (_tidyAt && *_tidyAt <= now)
    {
        _tidyAt.reset();
        commands.push_back({.apply = [](Batch& batch) { batch.ended = true; }});
    }
}

/// People hear of what can't be ended once it is on record.
void Engine::takeUndying()
{
    for (auto& found : _executions.takeUndying())
        _work.push_back(
            {.apply =
                 [this, undying = found](Batch& batch)
             {
                 _flow.cantEnd(batch, undying);
                 batch.afterCommit.push_back(
                     [this, undying]
                     { tell(undying.stageId, nullptr, std::make_exception_ptr(remain(undying))); });
             },
             .stageId = found.stageId});
}

/// Answers `waiter` when the stage has ended; at once where that is known to be out of sight.
void Engine::await(const std::string& stageId, Waiter waiter)
{
    if (const auto undying = _executions.undying(stageId))
        return waiter(nullptr, std::make_exception_ptr(remain(*undying)));
    _waiters.emplace(stageId, std::move(waiter));
}

void Engine::tell(const std::string& stageId, const RecordedEnd* end,
                  const std::exception_ptr& instead)
{
    const auto [first, last] = _waiters.equal_range(stageId);
    std::vector<Waiter> waiting;
    for (auto waiter = first; waiter != last; ++waiter)
        waiting.push_back(std::move(waiter->second));
    _waiters.erase(first, last);
    for (const auto& waiter : waiting)
        waiter(end, instead);
}

// RunCommands.cpp and StageCommands.cpp need these.
template bool Engine::call<bool>(std::function<void(Batch&, const Promise<bool>&)>);
template int Engine::call<int>(std::function<void(Batch&, const Promise<int>&)>);
template std::string
    Engine::call<std::string>(std::function<void(Batch&, const Promise<std::string>&)>);
template Stage Engine::call<Stage>(std::function<void(Batch&, const Promise<Stage>&)>);
template Run Engine::call<Run>(std::function<void(Batch&, const Promise<Run>&)>);
template Engine::Submitted
    Engine::call<Engine::Submitted>(std::function<void(Batch&, const Promise<Engine::Submitted>&)>);
template void Engine::answer<bool>(Batch&, const Promise<bool>&, bool);
template void Engine::answer<int>(Batch&, const Promise<int>&, int);
template void Engine::answer<std::string>(Batch&, const Promise<std::string>&, std::string);
template void Engine::answer<Stage>(Batch&, const Promise<Stage>&, Stage);
template void Engine::answer<Run>(Batch&, const Promise<Run>&, Run);
template void Engine::answer<Engine::Submitted>(Batch&, const Promise<Submitted>&, Submitted);

} // namespace agent
