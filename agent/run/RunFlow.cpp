#include "agent/run/RunFlow.h"

#include "agent/run/PipelineParser.h"
#include "agent/run/Queue.h"
#include "agent/run/ServiceCatalog.h"

#include <algorithm>

namespace agent
{

namespace
{

/// While the disk is too full to start anything, it is looked at again this often.
constexpr std::int64_t diskAgainMs = 2000;

} // namespace

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
    stage.clearEnd();
    stage.clearIntent();
    stage.status = Status::InProgress;
    stage.startedAt = nowMs();
    ++stage.attempt;
    if (!external(stage))
    {
        const Cgroup& cgroup = _executions.cgroup();
        stage.containment = cgroup.available() ? "cgroup" : "subreaper";
        stage.limitsMissing = cgroup.missing(specOf(run, stage).limits);
    }
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
    const auto folder = _state.attempt(stage, stage.attempt);
    const auto spec = pipeline(run);
    const Order order =
        buildOrder({.run = run,
                    .stage = stage,
                    .spec = specOf(run, stage),
                    .pipeline = *spec,
                    .plugin = *plugin,
                    .outputs = outputsBefore(stage.ordinal, batch.runs.stages(run.id)),
                    .workspace = _state.workspace(run.id),
                    .attemptFolder = folder},
                   _options.orders);
    watchForStuck(batch, run, stage);
    batch.afterCommit.push_back([this, folder, order]
                                { _executions.launch(folder, order, _options.orders.secretsDir); });
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
    batch.ended = batch.ended || run.ended();
    if (from != status)
        batch.history.append({.at = run.updatedAt,
                              .runId = run.id,
                              .actor = actor,
                              .from = std::string(toString(from)),
                              .to = std::string(toString(status)),
                              .reason = masked(batch, run.id, reason)});
}

void RunFlow::note(Batch& batch, const Stage& stage, Status from, const std::string& actor,
                   const std::string& reason)
{
    batch.changedRuns.insert(stage.runId);
    if (stage.ended() && stage.status != from && stage.cause)
        batch.counted.push_back([this, end = std::pair(stage.status, *stage.cause)]
                                { ++counts.ended[end]; });
    batch.ended = batch.ended || stage.ended();
    batch.history.append({.at = stage.updatedAt,
                          .runId = stage.runId,
                          .stageId = stage.id,
                          .actor = actor,
                          .from = std::string(toString(from)),
                          .to = std::string(toString(stage.status)),
                          .cause = stage.cause,
                          .reason = masked(batch, stage.runId, reason),
                          .attempt = stage.attempt});
}

std::string RunFlow::masked(Batch& batch, const std::string& runId, const std::string& text) const
{
    const auto run = text.empty() ? std::nullopt : batch.runs.run(runId);
    if (!run)
        return text;
    const auto kept = _pipelines.find(runId);
    if (kept != _pipelines.end() && kept->second)
        return agent::masked(text, kept->second->secrets, _options.orders.secretsDir);
    try
    {
        return agent::masked(text, pipelineFromJson(run->pipeline).secrets,
                             _options.orders.secretsDir);
    }
    catch (const std::runtime_error&)
    {
        return text; // what can't be read any more names no secrets, and its run must end all the same
    }
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
