#include "agent/run/StageStarter.h"

#include "agent/plugin/PluginRegistry.h"
#include "agent/process/ProcessTree.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace agent
{

namespace
{

/// What a stage learns of the others of its run.
void addCourse(Order& order, const Run& run, const StageSpec& spec, const PipelineSpec& pipeline,
               const std::vector<Stage>& stages)
{
    if (spec.when.run != RunsAfter::Success)
    {
        const auto failed =
            std::find_if(stages.begin(), stages.end(),
                         [](const Stage& other) { return other.status == Status::Failure; });
        order.env["RUN_STATUS"] = run.status == Status::Failure ? "FAILURE" : "SUCCESS";
        order.env["FAILED_STAGE"] = failed == stages.end() ? "" : failed->name;
    }
    // The agent's git plugin tells them; where nobody approves anything nobody reads them. What a file of the
    // repository says of approvals is not known yet.
    const bool approves =
        pipeline.file ||
        std::any_of(pipeline.stages.begin(), pipeline.stages.end(),
                    [](const StageSpec& other) { return other.approval.required; });
    if (order.outside && approves)
        order.env["STAGE_AGENT_RECENT_COMMITS"] = "1";
}

/// What the agent's git plugin is to do in a workspace that is kept.
void addWorkspace(Order& order, const WorkspacePlace& place)
{
    if (!order.outside || place.mode == WorkspaceMode::Fresh)
        return;
    order.env["STAGE_AGENT_WORKSPACE"] = toString(place.mode);
    if (place.instead.empty())
        return;
    order.env["STAGE_AGENT_WORKSPACE_BRANCH"] = place.branch;
    order.env["STAGE_AGENT_WORKSPACE_INSTEAD"] = place.instead.string();
    if (order.sandbox)
        order.sandbox->shown.push_back({.path = place.instead.string(), .writable = true});
}

} // namespace

void StageStarter::start(Batch& batch, Run& run, Stage& stage, const std::vector<Stage>& stages,
                         StageEvent event, const std::string& actor, const std::string& reason)
{
    const Status from = stage.status;
    const Transition next = transition(_specs.state(stage), event);
    stage.clearEnd();
    stage.clearIntent();
    stage.status = next.to;
    stage.startedAt = nowMs();
    ++stage.attempt;
    const bool external = _specs.external(stage);
    if (!external)
    {
        stage.containment = _runner.hasCgroup() ? "cgroup" : "subreaper";
        const PipelineSpec& pipeline = _specs.pipeline(run);
        stage.isolation = toString(_specs.orders().isolation.of(pipeline, run.trigger));
        stage.network = toString(pipeline.network);
        stage.limitsMissing = _runner.missing(_specs.stage(run, stage).limits);
        stage.bootId = _bootId;
        stage.sealKey = Seal::newKey();
        stage.shimPid = 0;
        stage.shimStart = 0;
        const auto plugin = _plugins.find(stage.plugin);
        stage.pluginSha256 = plugin ? plugin->sha256 : std::string();
        stage.synced = Sync::Pending;
        launch(batch, run, stage, stages); // first: it is prepared while the record is written
    }
    batch.runs.update(stage);
    _writer.stageChanged(batch, stage, from, actor, reason);

    if (!run.startedAt)
        run.begin(*stage.startedAt, bootTime());
    run.wantsSlot = false;
    run.resumed = false;
    run.holdsSlot = !external;
    if (external)
        _externalStages.watch(batch, run, stage);
}

/// The configuration may have changed since the run was submitted.
std::string StageStarter::isolationProblem(const PipelineSpec& pipeline, const Run& run) const
{
    const IsolationPolicy& isolation = _specs.orders().isolation;
    if (std::string problem = isolation.pullRequestProblem(run.trigger); !problem.empty())
        return problem;
    const auto problems = isolation.check(pipeline, run.serviceName);
    return problems.empty() ? "" : problems.front().describe();
}

void StageStarter::launch(Batch& batch, const Run& run, const Stage& stage,
                          const std::vector<Stage>& stages)
{
    const auto plugin = _plugins.find(stage.plugin);
    if (!plugin)
    {
        batch.afterCommit.push_back(
            [this, id = stage.id, attempt = stage.attempt, name = stage.plugin]
            {
                _runner.refuse(id, attempt, Cause::PluginMissing,
                               "there is no plugin '" + name + "' on this host");
            });
        return;
    }
    const auto folder = _state.attempt(stage, stage.attempt);
    const PipelineSpec& pipeline = _specs.pipeline(run);
    if (const std::string problem = isolationProblem(pipeline, run); !problem.empty())
    {
        batch.afterCommit.push_back([this, id = stage.id, attempt = stage.attempt, problem]
                                    { _runner.refuse(id, attempt, Cause::SpawnError, problem); });
        return;
    }
    const WorkspacePlace place =
        _workspaces.placeFor(batch, run, stage, stages, fetchesOutside(*plugin, _specs.orders()));
    Order order = buildOrder({.run = run,
                              .stage = stage,
                              .spec = _specs.stage(run, stage),
                              .pipeline = pipeline,
                              .plugin = *plugin,
                              .outputs = outputsBefore(stage.ordinal, stages),
                              .workspace = place.folder,
                              .attemptFolder = folder},
                             _specs.orders());
    addWorkspace(order, place);
    addCourse(order, run, _specs.stage(run, stage), pipeline, stages);
    _caches.prepare(order, run, stage, stages);
    if (const std::string lack = _needs.prepare(batch, order, run, stage); !lack.empty())
    {
        batch.afterCommit.push_back(
            [this, id = stage.id, attempt = stage.attempt, lack, workspace = order.cwd]
            {
                // Without a workspace nobody could try it again.
                std::error_code error;
                std::filesystem::create_directories(workspace, error);
                _runner.refuse(id, attempt, Cause::Needs, lack);
            });
        return;
    }
    order.bootId = stage.bootId;
    order.bootRecorded = !stage.bootId.empty();
    order.seal = sealOf(stage);
    _stuckWatch.watch(batch, run, stage);
    recordShim(batch, stage);
    const auto& secrets = _specs.orders().secrets;
    if (!batch.isNew(
            run.id)) // else its folder would be one without a run on record: LeftoverFolders
    {
        _runner.prepare(folder, order, secrets);
        batch.onRollback([this, id = stage.id] { _runner.dropPrepared(id); });
    }
    batch.launches.push_back([this, folder, order, &secrets]
                             { _runner.launch(folder, order, secrets); });
    const auto next = std::find_if(stages.begin(), stages.end(),
                                   [&](const Stage& other) {
                                       return other.ordinal > stage.ordinal &&
                                              other.status == Status::Idle && !other.done();
                                   });
    if (next != stages.end())
        batch.afterCommit.push_back([this, expected = _state.attempt(*next, next->attempt + 1)]
                                    { _runner.expect(expected); });
}

void StageStarter::recordShim(Batch& batch, const Stage& stage)
{
    constexpr std::int64_t delayMs = 1000;
    batch.afterCommit.push_back(
        [this, id = stage.id, attempt = stage.attempt] {
            _timers.set({TimerKind::ShimRecord, id, attempt}, delayMs);
        });
}

} // namespace agent
