#include "agent/run/RunFlow.h"

#include "agent/run/PipelineParser.h"
#include "agent/run/Queue.h"
#include "agent/run/ServiceCatalog.h"

#include <Poco/Data/SQLite/SQLiteException.h>
#include <Poco/Exception.h>

#include <algorithm>

namespace agent
{

namespace
{

constexpr const char* self = "agent";

/// While the disk is too full to start anything, it is looked at again this often.
constexpr std::int64_t diskAgainMs = 2000;

/// The agent lost the attempt; what was decided about it stands all the same.
bool lostByUs(Cause cause)
{
    return cause == Cause::ShimLost || cause == Cause::HostReboot || cause == Cause::SpawnError;
}

/// The command never ran, so its time is a point.
bool neverStarted(Cause cause)
{
    return cause == Cause::SpawnError || cause == Cause::PluginMissing;
}

bool retryable(const RetrySpec& retry, const Stage& stage)
{
    switch (*stage.cause)
    {
    case Cause::Stopped:
    case Cause::Operator:
    case Cause::Rejected:
        return false;
    case Cause::ShimLost:
    case Cause::HostReboot:
        if (retry.onLoss)
            return true;
        break;
    default:
        break;
    }
    if (std::find(retry.onCauses.begin(), retry.onCauses.end(), *stage.cause) !=
        retry.onCauses.end())
        return true;
    if (*stage.cause == Cause::Exit && !retry.onExitCodes.empty())
        return std::find(retry.onExitCodes.begin(), retry.onExitCodes.end(),
                         stage.exitCode.value_or(-1)) !=
               retry.onExitCodes.end();
    const bool unnamed = retry.onCauses.empty() && retry.onExitCodes.empty();
    return unnamed && (*stage.cause == Cause::Exit || *stage.cause == Cause::Signal ||
                       *stage.cause == Cause::Timeout || *stage.cause == Cause::Silent ||
                       *stage.cause == Cause::Oom);
}

void clearEnd(Stage& stage)
{
    stage.startedAt.reset();
    stage.endedAt.reset();
    stage.cause.reset();
    stage.exitCode.reset();
    stage.signal.reset();
    stage.message.clear();
    stage.containment.clear();
    stage.notes.clear();
    stage.logBytes = 0;
    stage.usage = {};
    stage.outputs.clear();
    stage.startedCorrected = false;
    stage.retryAt.reset();
    stage.stuckSince.reset();
}

void clearIntent(Stage& stage)
{
    stage.intent = Intent::None;
    stage.intentActor.clear();
    stage.intentReason.clear();
    stage.intentStartedAt.reset();
    stage.intentEndedAt.reset();
}

} // namespace

std::exception_ptr Batch::attempt(const std::function<void()>& part)
{
    const std::size_t effects = afterCommit.size();
    std::exception_ptr error;
    connection.execute("SAVEPOINT part");
    try
    {
        part();
    }
    catch (const Poco::Data::SQLite::ConstraintViolationException&)
    {
        error = std::current_exception();
    }
    catch (const Poco::Data::DataException&)
    {
        throw;
    }
    catch (const std::exception&)
    {
        error = std::current_exception();
    }
    if (error)
    {
        connection.execute("ROLLBACK TO part");
        afterCommit.resize(effects);
    }
    connection.execute("RELEASE part");
    return error;
}

std::string textOf(const std::exception_ptr& error)
{
    try
    {
        std::rethrow_exception(error);
    }
    catch (const Poco::Exception& known)
    {
        return known.displayText();
    }
    catch (const std::exception& known)
    {
        return known.what();
    }
    catch (...)
    {
        return "unknown error";
    }
}

RunFlow::RunFlow(const EngineOptions& options, const StateFolder& state,
                 const PluginRegistry& plugins, const ServiceCatalog& services,
                 Executions& executions, Hooks hooks)
    : _options(options),
      _state(state),
      _plugins(plugins),
      _services(services),
      _executions(executions),
      _hooks(std::move(hooks))
{
}

void RunFlow::advance(Batch& batch, Run& run)
{
    // A run that has not begun only changes by getting a slot, unless nothing is left to do.
    const bool begun = run.holdsSlot || (run.status != Status::Idle && !run.ended());
    for (auto& stage : batch.runs.stages(run.id))
    {
        switch (stage.status)
        {
        case Status::Success:
            continue;
        case Status::Failure:
            return endRun(batch, run, Status::Failure, self, "");
        case Status::InProgress:
            return setStatus(batch, run, Status::InProgress, self, "");
        case Status::AwaitingApproval:
            run.holdsSlot = run.wantsSlot = false;
            return setStatus(batch, run, Status::AwaitingApproval, self, "");
        case Status::Idle:
            break;
        }
        if (run.stopping)
            return endRun(batch, run, Status::Failure, self, "stopped");
        if (stage.retryAt)
            return setStatus(batch, run, Status::InProgress, self, "");
        if (!begun)
        {
            run.wantsSlot = true;
            return setStatus(batch, run, Status::Idle, self, "");
        }
        if (!run.startedAt)
            run.startedAt = nowMs();
        if (specOf(run, stage).approval && !stage.approved)
        {
            const Status from = stage.status;
            stage.status = transition(state(stage), StageEvent::DueForApproval).to;
            batch.runs.update(stage);
            note(batch, stage, from, self, "");
            run.holdsSlot = run.wantsSlot = false;
            return setStatus(batch, run, Status::AwaitingApproval, self, "");
        }
        if (external(stage))
        {
            run.holdsSlot = run.wantsSlot = false; // until somebody patches it
            return setStatus(batch, run, Status::InProgress, self, "");
        }
        if (!run.holdsSlot || diskLow(batch))
        {
            run.holdsSlot = false;
            run.wantsSlot = true;
            return setStatus(batch, run, Status::InProgress, self, "");
        }
        start(batch, run, stage, self, "");
        return setStatus(batch, run, Status::InProgress, self, "");
    }
    endRun(batch, run, Status::Success, self, "");
}

void RunFlow::schedule(Batch& batch)
{
    const Queue queue{.slots = _options.slots,
                      .draining = draining,
                      .concurrency = [this](const std::string& name)
                      {
                          const auto service = _services.find(name);
                          return service ? service->concurrency : 1;
                      }};
    while (true)
    {
        const auto open = batch.runs.openRuns();
        const bool waiting =
            std::any_of(open.begin(), open.end(), [](const Run& run) { return run.wantsSlot; });
        if (!waiting)
            return;
        if (diskLow(batch))
            break;
        const auto chosen = queue.next(open);
        if (chosen.empty())
            return;
        for (const auto& id : chosen)
        {
            const auto error = batch.attempt(
                [&]
                {
                    auto run = batch.runs.run(id);
                    run->holdsSlot = true;
                    run->wantsSlot = false;
                    run->resumed = false;
                    advance(batch, *run);
                });
            if (error)
                abandon(batch, id, textOf(error));
        }
        // Once more: a run that only waits for somebody has given its slot back.
    }
    if (_diskTimer)
        return;
    batch.afterCommit.push_back(
        [this]
        {
            _diskTimer = true;
            _hooks.timer(diskAgainMs, "", 0);
        });
}

void RunFlow::abandon(Batch& batch, const std::string& runId, const std::string& why)
{
    auto run = batch.runs.run(runId);
    if (!run || run->ended())
        return;
    for (auto& stage : batch.runs.stages(runId))
        if (!stage.ended())
        {
            endWithoutProcess(batch, stage, Status::Failure, Cause::PluginError, self, why);
            break;
        }
    endRun(batch, *run, Status::Failure, self, why);
}

void RunFlow::start(Batch& batch, Run& run, Stage& stage, const std::string& actor,
                    const std::string& reason)
{
    const Status from = stage.status;
    clearEnd(stage);
    clearIntent(stage);
    stage.status = Status::InProgress;
    stage.startedAt = nowMs();
    ++stage.attempt;
    batch.runs.update(stage);
    note(batch, stage, from, actor, reason);

    if (!run.startedAt)
        run.startedAt = stage.startedAt;
    run.wantsSlot = false;
    run.resumed = false;
    run.holdsSlot = !external(stage);
    if (external(stage))
        armTimeout(batch, run, stage);
    else
        launch(batch, run, stage);
}

void RunFlow::launch(Batch& batch, const Run& run, const Stage& stage)
{
    const Plugin* plugin = _plugins.find(stage.plugin);
    if (!plugin)
    {
        batch.afterCommit.push_back(
            [this, id = stage.id, attempt = stage.attempt, name = stage.plugin]
            {
                _executions.refuse(id, attempt, Cause::PluginMissing,
                                   "there is no plugin '" + name + "' on this host");
            });
        return;
    }
    std::map<std::string, std::string> outputs;
    for (const auto& earlier : batch.runs.stages(run.id))
        if (earlier.ordinal < stage.ordinal)
            for (auto& [name, value] : outputsFromJson(earlier.outputs))
                outputs[name] = value;

    const auto folder = _state.attempt(stage, stage.attempt);
    const auto spec = pipeline(run);
    const Order order = buildOrder({.run = run,
                                    .stage = stage,
                                    .spec = specOf(run, stage),
                                    .pipeline = *spec,
                                    .plugin = *plugin,
                                    .outputs = outputs,
                                    .workspace = _state.workspace(run.id),
                                    .attemptFolder = folder},
                                   _options.orders);
    batch.afterCommit.push_back([this, folder, order]
                                { _executions.launch(folder, order, _options.orders.secretsDir); });
}

void RunFlow::recordEnd(Batch& batch, const Finished& finished)
{
    auto found = batch.runs.stage(finished.stageId);
    if (!found || found->status != Status::InProgress || found->attempt != finished.attempt)
        return;
    Stage& stage = *found;
    Run run = *batch.runs.run(stage.runId);
    const Outcome& outcome = finished.outcome;

    // What the process did …
    if (!stage.startedCorrected && !neverStarted(outcome.cause) && outcome.startedAt > 0)
        stage.startedAt = outcome.startedAt;
    stage.endedAt = neverStarted(outcome.cause) ? *stage.startedAt
                                                : std::max(*stage.startedAt, outcome.endedAt);
    stage.cause = outcome.cause;
    stage.exitCode = outcome.exitCode;
    stage.signal = outcome.signal;
    stage.message = outcome.message;
    stage.containment = outcome.containment;
    for (const Cause cause : outcome.notes)
        stage.notes += (stage.notes.empty() ? "" : ",") + std::string(toString(cause));
    stage.logBytes = outcome.logBytes;
    stage.usage = outcome.usage;
    Status status = outcome.succeeded() ? Status::Success : Status::Failure;
    std::string actor = self;
    std::string reason;

    // … and what was decided about it. A decision that came too late does not change a true end.
    const bool decided = stage.intent != Intent::None &&
                         (outcome.cause == Cause::Stopped || lostByUs(outcome.cause));
    if (decided)
    {
        actor = stage.intentActor;
        reason = stage.intentReason;
        stage.cause = stage.intent == Intent::Stop ? Cause::Stopped : Cause::Operator;
        status = stage.intent == Intent::Succeed ? Status::Success : Status::Failure;
        stage.message = reason;
        stage.startedAt = stage.intentStartedAt ? stage.intentStartedAt : stage.startedAt;
        stage.endedAt = std::max(*stage.startedAt, stage.intentEndedAt.value_or(*stage.endedAt));
        stage.startedCorrected = stage.startedCorrected || stage.intentStartedAt.has_value();
    }
    else if (status == Status::Success)
    {
        takeOutputs(run, stage);
        if (stage.cause != Cause::Exit)
            status = Status::Failure;
    }

    const auto event = status == Status::Success ? StageEvent::EndedWell : StageEvent::EndedBadly;
    const Transition next = transition(state(stage), event);
    if (next.effect != Effect::RecordEnd)
        return;
    const bool undecided = stage.intent == Intent::None;
    stage.status = next.to;
    clearIntent(stage);
    const RecordedEnd end{stage, decided};
    const bool again = undecided && !run.stopping && stage.status == Status::Failure &&
                       retry(batch, run, stage);
    if (!again)
    {
        batch.runs.update(stage);
        note(batch, stage, Status::InProgress, actor, reason);
    }
    batch.afterCommit.push_back(
        [this, end, folder = _state.attempt(stage, finished.attempt)]
        {
            _executions.forget(folder);
            _hooks.ended(end);
        });
    advance(batch, run);
}

/// Reads what the plugin gave to later stages. Outputs that can't be used are the plugin's fault.
void RunFlow::takeOutputs(Run& run, Stage& stage)
{
    try
    {
        const auto outputs = readOutputs(_state.attempt(stage, stage.attempt) / files::outputs);
        stage.outputs = outputsToJson(outputs);
        if (stage.plugin != "git")
            return;
        const auto take = [&](const char* name, std::string& into)
        {
            if (const auto value = outputs.find(name); value != outputs.end())
                into = value->second;
        };
        take("commitHash", run.commitHash);
        take("commitMessage", run.commitMessage);
        take("committer", run.committer);
    }
    catch (const std::runtime_error& error)
    {
        stage.cause = Cause::PluginError;
        stage.message = error.what();
    }
}

/// Makes the failed `stage` IDLE again for another attempt where its retry says so. Writes it then.
bool RunFlow::retry(Batch& batch, const Run& run, Stage& stage)
{
    const RetrySpec& spec = specOf(run, stage).retry;
    if (stage.attempt >= spec.attempts || !retryable(spec, stage))
        return false;
    note(batch, stage, Status::InProgress, self, stage.message);
    const Stage failed = stage;
    clearEnd(stage);
    stage.status = Status::Idle;
    stage.retryAt = nowMs() + spec.delayMs;
    batch.runs.update(stage);
    note(batch, stage, failed.status, self,
         "attempt " + std::to_string(stage.attempt + 1) + " of " + std::to_string(spec.attempts));
    batch.afterCommit.push_back([this, delay = spec.delayMs, id = stage.id, n = stage.attempt]
                                { _hooks.timer(delay, id, n); });
    return true;
}

void RunFlow::endWithoutProcess(Batch& batch, Stage& stage, Status status, Cause cause,
                                const std::string& actor, const std::string& reason)
{
    const Status from = stage.status;
    stage.endedAt = nowMs();
    if (!stage.startedAt)
        stage.startedAt = stage.endedAt;
    stage.endedAt = std::max(*stage.startedAt, *stage.endedAt);
    stage.status = status;
    stage.cause = cause;
    stage.message = reason;
    stage.retryAt.reset();
    batch.runs.update(stage);
    note(batch, stage, from, actor, reason);
}

void RunFlow::due(Batch& batch, const std::string& stageId, int attempt)
{
    if (stageId.empty())
    {
        _diskTimer = false; // schedule() looks at the disk
        return;
    }
    auto stage = batch.runs.stage(stageId);
    if (!stage || stage->attempt != attempt)
        return; // started, deleted or tried again meanwhile
    auto run = batch.runs.run(stage->runId);
    if (run->ended() || run->stopping)
        return;
    if (stage->status == Status::Idle && stage->retryAt)
    {
        stage->retryAt.reset();
        batch.runs.update(*stage);
        advance(batch, *run);
    }
    else if (transition(state(*stage), StageEvent::TimedOut).effect == Effect::RecordEnd)
    {
        if (nowMs() < *stage->startedAt + timeoutOf(*run, *stage))
            return armTimeout(batch, *run, *stage); // its startedAt was corrected meanwhile
        endWithoutProcess(batch, *stage, Status::Failure, Cause::Timeout, self,
                          "no end was reported within its timeout");
        advance(batch, *run);
    }
}

std::int64_t RunFlow::timeoutOf(const Run& run, const Stage& stage)
{
    return specOf(run, stage).timeoutMs.value_or(_options.orders.timeoutMs);
}

void RunFlow::armTimeout(Batch& batch, const Run& run, const Stage& stage)
{
    const std::int64_t timeout = timeoutOf(run, stage);
    if (timeout == 0)
        return;
    const std::int64_t left = std::max<std::int64_t>(0, *stage.startedAt + timeout - nowMs());
    batch.afterCommit.push_back([this, left, id = stage.id, attempt = stage.attempt]
                                { _hooks.timer(left, id, attempt); });
}

void RunFlow::endRun(Batch& batch, Run& run, Status status, const std::string& actor,
                     const std::string& reason)
{
    run.endedAt = std::max(nowMs(), run.startedAt.value_or(0));
    run.holdsSlot = run.wantsSlot = run.resumed = run.stopping = false;
    setStatus(batch, run, status, actor, reason);
    batch.afterCommit.push_back([this, id = run.id] { _pipelines.erase(id); });
}

void RunFlow::setStatus(Batch& batch, Run& run, Status status, const std::string& actor,
                        const std::string& reason)
{
    const Status from = run.status;
    run.status = status;
    batch.runs.update(run);
    batch.changedRuns.insert(run.id);
    if (from != status)
        batch.history.append({.at = run.updatedAt,
                              .runId = run.id,
                              .actor = actor,
                              .from = std::string(toString(from)),
                              .to = std::string(toString(status)),
                              .reason = reason});
}

void RunFlow::note(Batch& batch, const Stage& stage, Status from, const std::string& actor,
                   const std::string& reason)
{
    batch.changedRuns.insert(stage.runId);
    batch.history.append({.at = stage.updatedAt,
                          .runId = stage.runId,
                          .stageId = stage.id,
                          .actor = actor,
                          .from = std::string(toString(from)),
                          .to = std::string(toString(stage.status)),
                          .cause = stage.cause,
                          .reason = reason,
                          .attempt = stage.attempt});
}

bool RunFlow::external(const Stage& stage) const
{
    const Plugin* plugin = _plugins.find(stage.plugin);
    return plugin && plugin->kind == Plugin::Kind::External;
}

bool RunFlow::diskLow(Batch& batch) const
{
    if (!batch.diskLow)
        batch.diskLow = diskLow();
    return *batch.diskLow;
}

bool RunFlow::diskLow() const
{
    return _state.freeBytes() < _options.minFreeBytes;
}

std::int64_t RunFlow::graceMs(const Run& run, const Stage& stage)
{
    return specOf(run, stage).graceMs.value_or(_options.orders.graceMs);
}

std::shared_ptr<const PipelineSpec> RunFlow::pipeline(const Run& run)
{
    auto& kept = _pipelines[run.id];
    if (!kept)
        kept = std::make_shared<const PipelineSpec>(pipelineFromJson(run.pipeline));
    return kept;
}

const StageSpec& RunFlow::specOf(const Run& run, const Stage& stage)
{
    return pipeline(run)->stages.at(static_cast<std::size_t>(stage.ordinal));
}

} // namespace agent
