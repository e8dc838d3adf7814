#include "agent/run/Caches.h"

#include "agent/os/RegularFile.h"
#include "agent/run/CacheScopes.h"
#include "agent/run/RunWorkspace.h"

#include <algorithm>
#include <stdexcept>

#include <unistd.h>

namespace agent
{

namespace
{

constexpr std::size_t jobBytes = std::size_t{4} << 20;

/// How often a restore that lasts prints something.
constexpr std::int64_t tellMs = 5000;

std::vector<std::string> foldersOf(const std::vector<CacheScope>& scopes)
{
    std::vector<std::string> folders;
    folders.reserve(scopes.size());
    for (const CacheScope& scope : scopes)
        folders.push_back(scope.folder);
    return folders;
}

bool keepsHome(const std::vector<CacheSpec>& caches)
{
    return std::any_of(caches.begin(), caches.end(),
                       [](const CacheSpec& cache)
                       {
                           return std::any_of(cache.paths.begin(), cache.paths.end(),
                                              [](const std::string& path)
                                              { return path.starts_with("~/"); });
                       });
}

std::optional<CacheJob> jobIn(const std::string& file)
try
{
    const auto text = readRegularFile(file, jobBytes);
    return text ? cacheJobFrom(*text) : std::nullopt;
}
catch (const std::system_error&)
{
    return std::nullopt;
}

} // namespace

std::string Caches::report(const Stage& stage) const
{
    return (_state.attempt(stage, stage.attempt) / caches::report).string();
}

void Caches::prepare(Order& order, const Run& run, const Stage& stage,
                     const std::vector<Stage>& stages)
{
    const PipelineSpec& pipeline = _specs.pipeline(run);
    const std::vector<CacheSpec>& wanted = _specs.stage(run, stage).caches;
    if (_worker == nullptr || wanted.empty() || order.outside)
        return;
    const CacheRights rights = cacheRightsOf(run, pipeline, stages);
    if (rights.service.empty())
        return;
    const CachePlan plan{.workspace = order.cwd,
                         .home = _state.home(run.id).string(),
                         .report = report(stage),
                         .folder = _worker->store().folder(rights.service).string(),
                         .service = rights.service,
                         .scopes = foldersOf(rights.reads),
                         .caches = wanted,
                         .tellMs =
                             order.silenceMs > 0 ? std::min(tellMs, order.silenceMs / 4) : tellMs};
    if (order.sandbox)
        for (const std::string& scope : plan.scopes)
            order.sandbox->shown.push_back({.path = plan.folder + "/" + scope});
    else if (keepsHome(wanted) && order.env["HOME"] == _specs.orders().inherited.home)
        order.env["HOME"] =
            plan.home; // what it keeps there is the run's, and not the agent's user's
    order.env[caches::planVariable] = toJson(plan);
    order.env[caches::reportVariable] = plan.report;
    order.argv.insert(order.argv.begin(), {_worker->options().program.string(), "restore"});
}

void Caches::stageEnded(Batch& batch, const Run& run, const Stage& stage)
try
{
    if (_worker == nullptr)
        return;
    const std::vector<CacheSpec>& wanted = _specs.stage(run, stage).caches;
    if (wanted.empty())
        return;
    const CacheRights rights = cacheRightsOf(run, _specs.pipeline(run), batch.runs.stages(run.id));
    CachedAttempt attempt{.report = report(stage),
                          .service = rights.service,
                          .reads = foldersOf(rights.reads),
                          .caches = wanted.size(),
                          .durationMs = stage.durationMs().value_or(0),
                          .succeeded = stage.status == Status::Success};
    batch.afterCommit.push_back([this, attempt] { _worker->ended(attempt); });
}
catch (const std::runtime_error&)
{
    return; // the stored pipeline can't be read: the run goes on, or ends, all the same
}

void Caches::runEnded(Batch& batch, const Run& run)
try
{
    if (_worker == nullptr || _worker->options().maxBytes == 0 || run.serviceId.empty())
        return;
    const PipelineSpec& pipeline = _specs.pipeline(run);
    if (std::none_of(pipeline.stages.begin(), pipeline.stages.end(),
                     [](const StageSpec& stage) { return !stage.caches.empty(); }))
        return;
    const auto stages = batch.runs.stages(run.id);
    const CacheRights rights = cacheRightsOf(run, pipeline, stages);
    if (!rights.writes)
        return;
    CacheJob job{.runId = run.id,
                 .workspace = workspaceOf(batch.connection, _state, run.id).string(),
                 .home = _state.home(run.id).string(),
                 .service = rights.service,
                 .serviceName = run.serviceName,
                 .scope = rights.writes->folder,
                 .scopeName = rights.writes->name,
                 .reads = foldersOf(rights.reads)};
    for (const Stage& stage : stages)
    {
        const std::vector<CacheSpec>& wanted = _specs.stage(run, stage).caches;
        if (!wanted.empty() && stage.attempt > 0 && stage.status == Status::Success)
            job.stages.push_back({.report = report(stage),
                                  .madeMs = stage.durationMs().value_or(0),
                                  .caches = wanted});
    }
    if (job.stages.empty() || job.workspace.empty())
        return;
    saveAfterCommit(batch, job);
}
catch (const std::runtime_error&)
{
    return; // the stored pipeline can't be read: the run goes on, or ends, all the same
}

/// The workspace is held from now on: another run may be given it in the same batch.
void Caches::saveAfterCommit(Batch& batch, const CacheJob& job)
{
    _promised.insert(job.runId);
    batch.onRollback([this, id = job.runId] { _promised.erase(id); });
    batch.afterCommit.push_back(
        [this, job]
        {
            _worker->save(job);
            _promised.erase(job.runId);
        });
}

bool Caches::makeRoom(Batch& batch)
{
    if (_worker == nullptr || !_worker->mayHaveSome())
        return false;
    batch.afterCommit.push_back([this] { _worker->makeRoom(); });
    return true;
}

void Caches::recover(Batch& batch)
{
    if (_worker == nullptr)
        return;
    for (const auto& file : _worker->store().allPending())
    {
        auto job = file.extension() == ".json" ? jobIn(file.string()) : std::nullopt;
        const auto run = job ? batch.runs.run(job->runId) : std::nullopt;
        if (run && run->ended() && run->status == Status::Success)
            saveAfterCommit(batch, *job);
        else
            ::unlink(file.c_str());
    }
}

} // namespace agent
