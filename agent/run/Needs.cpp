#include "agent/run/Needs.h"

#include "agent/os/RegularFile.h"
#include "agent/run/CacheScopes.h"
#include "agent/run/InputRules.h"
#include "agent/store/ArtifactSets.h"
#include "agent/wire/ArtifactManifest.h"
#include "agent/wire/NeededFiles.h"

#include <algorithm>
#include <stdexcept>

namespace agent
{

namespace
{

constexpr std::size_t shownCommit = 12;

/// `dist of lib (main)`
std::string wordsFor(const std::string& artifacts, const std::string& service,
                     const std::string& branch)
{
    return artifacts + " of " + service + (branch.empty() ? "" : " (" + branch + ")");
}

std::string originOf(const TakenSet& set)
{
    return "run " + set.fromRun +
           (set.commitHash.empty() ? "" : ", commit " + set.commitHash.substr(0, shownCommit));
}

bool keepsSomething(const PipelineSpec& pipeline)
{
    return std::any_of(pipeline.stages.begin(), pipeline.stages.end(),
                       [](const StageSpec& stage) { return !stage.artifacts.paths.empty(); });
}

} // namespace

std::string Needs::prepare(Batch& batch, Order& order, const Run& run, const Stage& stage)
{
    const std::vector<NeedSpec>& wanted = _specs.stage(run, stage).needs;
    if (wanted.empty())
        return "";
    TakenSets record(batch.connection);
    // By a daemon that died before the launch: that is what was promised.
    const auto recorded = record.ofAttempt(stage.id, stage.attempt);
    NeedsPlan plan{.workspace = order.cwd,
                   .report = (_state.attempt(stage, stage.attempt) / needs::report).string()};
    for (std::size_t i = 0; i < wanted.size(); ++i)
    {
        const NeedSpec& need = wanted[i];
        const auto known =
            std::find_if(recorded.begin(), recorded.end(),
                         [&](const TakenSet& set) { return set.number == static_cast<int>(i); });
        std::string why;
        auto set = known != recorded.end() ? std::optional(*known) : find(batch, need, why);
        if (!set && !need.optional)
            return why;
        if (!set)
        {
            plan.sets.push_back({.what = wordsFor(need.artifacts, need.service, need.branch)});
            continue;
        }
        if (known == recorded.end())
        {
            set->stageId = stage.id;
            set->attempt = stage.attempt;
            set->number = static_cast<int>(i);
            record.add(*set);
        }
        const NeededSet part{
            .what = wordsFor(set->name, set->service, set->branch),
            .from = originOf(*set),
            .to = set->to,
            .set = _state.artifactSet(set->fromRun, set->fromStage, set->fromAttempt).string(),
            .list = (_state.root() / set->fromFolder).string(),
            .sha256 = set->manifest};
        if (order.sandbox)
            for (const std::string& path : {part.set, part.list + "/" + manifestName})
                order.sandbox->shown.push_back({.path = path});
        plan.sets.push_back(part);
    }
    order.env[needs::planVariable] = toJson(plan);
    order.env[needs::reportVariable] = plan.report;
    const std::string program = _specs.orders().cacheProgram.string();
    if (order.argv.front() != program) // it restores the stage's caches
        order.argv.insert(order.argv.begin(), {program, "restore"});
    return "";
}

std::optional<TakenSet> Needs::find(Batch& batch, const NeedSpec& need, std::string& why) const
{
    const auto service = _services.find(need.service);
    if (!service)
    {
        why = "it needs " + wordsFor(need.artifacts, need.service, need.branch) +
              ", and there is no service '" + need.service +
              "' on this host: services.d is where it has to be declared";
        return std::nullopt;
    }
    const std::string branch = need.branch.empty() ? service->pipeline.branch : need.branch;
    const auto newest = ArtifactSets(batch.connection).newest(service->id, branch, need.artifacts);
    const auto stage = newest ? batch.runs.attempt(newest->stageId, newest->attempt) : std::nullopt;
    const auto run = newest ? batch.runs.run(newest->runId) : std::nullopt;
    if (!stage || !run)
    {
        why = "it needs " + wordsFor(need.artifacts, need.service, branch) +
              ", and there is none: a run of " + need.service +
              (branch.empty() ? "" : " on the branch " + branch) +
              " has to end in SUCCESS and keep artifacts called '" + need.artifacts + "'";
        return std::nullopt;
    }
    return TakenSet{
        .service = service->name,
        .branch = branch,
        .name = need.artifacts,
        .to = need.to,
        .fromRun = run->id,
        .fromStage = stage->id,
        .fromAttempt = newest->attempt,
        .fromFolder =
            _state.attempt(*stage, newest->attempt).lexically_relative(_state.root()).string(),
        .commitHash = run->commitHash,
        .manifest = stage->artifactManifest,
        .files = stage->artifactFiles.value_or(0),
        .bytes = stage->artifactBytes.value_or(0)};
}

void Needs::judge(const Run& run, Stage& stage)
try
{
    // Where the disk was still full at its end, the shim has seen that already.
    const bool mayBe = stage.cause == Cause::Exit || stage.cause == Cause::DiskFull;
    if (!mayBe || stage.exitCode != needs::exitCode || _specs.stage(run, stage).needs.empty())
        return;
    const auto text =
        readRegularFile(_state.attempt(stage, stage.attempt) / needs::report, needs::reportBytes);
    const auto failure = text ? needsFailureFrom(*text) : std::nullopt;
    if (!failure)
        return;
    stage.cause = failure->diskFull ? Cause::DiskFull : Cause::Needs;
    stage.exitCode.reset();
    stage.message = fittedText(failure->message, bounds::reason);
}
catch (const std::runtime_error&)
{
    return; // neither pipeline nor report can be read: the end stays that of the process
}

void Needs::stageEnded(Batch& batch, const Stage& stage)
{
    TakenSets record(batch.connection);
    const auto sets = record.ofAttempt(stage.id, stage.attempt);
    if (sets.empty())
        return;
    record.release(stage.id, stage.attempt);
    for (const TakenSet& set : sets)
        letGo(batch, set);
}

/// Removes from the disk what was removed from the record while the set was held.
void Needs::letGo(Batch& batch, const TakenSet& set)
{
    TakenSets record(batch.connection);
    if (record.holdsSet(set.fromRun, set.fromStage, set.fromAttempt))
        return;
    if (!batch.runs.run(set.fromRun))
    {
        if (!record.holdsRun(set.fromRun))
            batch.afterCommit.push_back(
                [this, id = set.fromRun]
                {
                    _cleanup.discard(_state.run(id));
                    _cleanup.discardArtifacts(_state.artifactSets(id));
                });
        return;
    }
    const bool stageGone = !batch.runs.stage(set.fromStage);
    if (stageGone && !record.holdsStage(set.fromRun, set.fromStage))
        batch.afterCommit.push_back([this, folder = (_state.root() / set.fromFolder).parent_path()]
                                    { _cleanup.discard(folder); });
    if (stageGone || !ArtifactSets(batch.connection).has(set.fromStage, set.fromAttempt))
        batch.afterCommit.push_back(
            [this, folder = _state.artifactSet(set.fromRun, set.fromStage, set.fromAttempt)]
            { _cleanup.discardArtifacts(folder); });
}

void Needs::runEnded(Batch& batch, const Run& run)
try
{
    if (run.serviceId.empty())
        return;
    const PipelineSpec& pipeline = _specs.pipeline(run);
    if (!keepsSomething(pipeline))
        return;
    const auto stages = batch.runs.stages(run.id);
    const auto branch = provedBranchOf(run, pipeline, stages);
    if (!branch)
        return;
    ArtifactSets sets(batch.connection);
    for (const Stage& stage : stages)
        if (stage.status == Status::Success && stage.cause == Cause::Exit &&
            !stage.artifactManifest.empty())
            sets.offer(stage.id, stage.attempt, run.serviceId, *branch, run.seq);
}
catch (const std::runtime_error&)
{
    return; // the stored pipeline can't be read: the run ends all the same
}

void Needs::recover(Batch& batch)
{
    for (const auto& [id, attempt] : TakenSets(batch.connection).holders())
    {
        auto stage = batch.runs.stage(id);
        if (stage && stage->status == Status::InProgress && stage->attempt == attempt)
            continue;
        Stage ended = stage.value_or(Stage{.id = id});
        ended.attempt = attempt;
        stageEnded(batch, ended);
    }
}

} // namespace agent
