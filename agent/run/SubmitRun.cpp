#include "agent/run/SubmitRun.h"

#include "agent/model/Conditions.h"
#include "agent/model/Id.h"
#include "agent/run/Engine.h"
#include "agent/run/HookRuns.h"
#include "agent/run/InputRules.h"
#include "agent/run/Lookup.h"
#include "agent/run/StopRun.h"
#include "agent/store/DeliveryStore.h"
#include "agent/store/ServiceRuns.h"
#include "agent/store/Submissions.h"

#include <algorithm>
#include <set>
#include <sstream>

namespace agent::commands
{

namespace
{

constexpr TimeMs idempotencyMs = TimeMs{24} * 3'600'000;

/// Returns the run that was made under the same Idempotency-Key.
std::optional<Run> earlier(Batch& batch, const Submission& submission, TimeMs now)
{
    const auto found =
        Submissions(batch.connection).find(submission.idempotencyKey, now - idempotencyMs);
    if (!found)
        return std::nullopt;
    if (found->bodyHash != submission.bodyHash)
        throw Declined::conflict("idempotency_key_reused",
                                 "this Idempotency-Key was used for another request");
    auto run = batch.runs.run(found->runId);
    if (!run)
        throw Declined::conflict("run_deleted", "the run of this Idempotency-Key was deleted");
    return run;
}

bool beganToDeploy(const std::vector<Stage>& stages)
{
    return std::any_of(stages.begin(), stages.end(),
                       [](const Stage& stage)
                       {
                           return stage.attempt > 0 && (stage.type == StageType::DeployStaging ||
                                                        stage.type == StageType::DeployProd);
                       });
}

/// Stops the older runs of the branch, or of the pull request, that have not begun to deploy.
void supersede(Batch& batch, EngineParts& parts, const Run& run, const PipelineSpec& pipeline)
{
    const std::string& branch = branchOf(run, pipeline);
    std::vector<std::string> names{branch};
    if (branch == pipeline.branch && !branch.empty())
        names.emplace_back(); // a run that names none is of this one too
    for (const std::string& name : names)
    {
        Run like = run;
        like.branch = name;
        for (const std::string& id : batch.runs.openRunsLike(like))
        {
            auto older = batch.runs.run(id);
            if (older && !older->stopping && !older->finishing() &&
                !beganToDeploy(batch.runs.stages(id)))
                stop(batch, parts, *older, Intent::Supersede, agentActor,
                     "superseded by run " + run.id);
        }
    }
}

Run create(Batch& batch, EngineParts& parts, const Submission& submission)
{
    // The client shall look for another host instead of waiting for this one.
    if (parts.queue.draining())
        throw Declined::unavailable(
            "draining", "the agent takes no new runs: it is draining until POST /api/agent/resume "
                        "or a restart");
    if (const auto most = parts.options.queueMax; most && parts.queue.waiting() >= *most)
        throw Declined::overloaded(
            "queue_full", std::to_string(parts.queue.waiting()) +
                              " runs wait for a slot already (runs.queue_max is " +
                              std::to_string(*most) + "); try again later, or ask another agent");
    if (parts.disk.low(batch))
        throw Declined::overloaded("disk_low",
                                   "the disk of the state folder is " + parts.disk.lack() +
                                       ": the agent takes no new runs until there is space again");
    Run run;
    run.id = newId();
    run.createdAt = run.updatedAt = nowMs();
    run.commitHash = submission.commit;
    run.commitMessage = submission.commitMessage;
    run.committer = submission.committer;
    run.trigger = submission.trigger;
    run.serviceId = submission.serviceId;
    run.serviceName = submission.serviceName;
    run.branch = submission.branch;
    run.pullNumber = submission.pullNumber;
    run.labels = submission.labels;
    run.priority = submission.priority;
    run.pipeline = submission.pipeline.json();
    run.wantsSlot = true;
    batch.insert(run);
    batch.history.append({.at = run.createdAt,
                          .runId = run.id,
                          .actor = submission.actor,
                          .to = std::string(toString(run.status)),
                          .reason = "submitted"});
    for (const auto& stage : stagesOf(submission.pipeline.spec(), run))
        batch.runs.insert(stage);
    parts.reports.ofRun(batch, reportEvents::runChanged, run, submission.actor, "submitted");
    batch.afterCommit.push_back([&specs = parts.specs, id = run.id, pipeline = submission.pipeline]
                                { specs.keep(id, pipeline); });
    batch.changedRuns.insert(run.id);
    if (submission.pipeline.spec().supersede && !submission.again && !run.serviceName.empty())
        supersede(batch, parts, run, submission.pipeline.spec());
    return run;
}

constexpr const char* runMark = ": run ";
constexpr const char* polling = "poll"; ///< the forge of what polling finds
constexpr std::size_t longestOutcome = 4096;

std::vector<std::string> linesOf(const std::string& text)
{
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);)
        lines.push_back(line);
    return lines;
}

/// `payment` of `payment: no run: the branch was deleted`; empty where a line is about no service.
std::string serviceOf(const std::string& line)
{
    return line.starts_with("no run: ") ? "" : line.substr(0, line.find(": "));
}

bool tellsOfRun(const std::string& line)
{
    return line.starts_with(serviceOf(line) + runMark);
}

/// Whether a run of the service came of the delivery. Of runs that were deleted since, the outcome still tells.
bool hasRun(Batch& batch, const HookDelivery& delivery, const Submission& submission)
{
    for (const std::string& id : delivery.runIds)
        if (const auto run = batch.runs.run(id); run && run->serviceId == submission.serviceId)
            return true;
    const auto lines = linesOf(delivery.outcome);
    return std::any_of(lines.begin(), lines.end(),
                       [&](const std::string& line)
                       { return line.starts_with(submission.serviceName + runMark); });
}

/// Returns why the push needs no run: a hook and polling may tell of one at once. Empty: it needs one.
std::string hasRunBecause(Batch& batch, const HookDelivery& delivery, const Submission& submission)
{
    if (delivery.forge == polling)
        return ServiceRuns(batch.connection)
                       .hasRun(submission.serviceName, submission.commit, submission.branch)
                   ? "there is one of this commit already"
                   : "";
    if (submission.polledAs.empty())
        return "";
    const auto polled =
        DeliveryStore(batch.connection)
            .find(polling, submission.polledAs, delivery.at - DeliveryStore::keepMs);
    return polled && hasRun(batch, *polled, submission) ? "polling has started it already" : "";
}

/// What came of a delivery that comes again: the runs of then and now, and the newest word on each other service.
std::string merged(const std::string& before, const std::vector<std::string>& started,
                   const std::string& others)
{
    std::vector<std::string> lines;
    std::set<std::string> told;
    const auto add = [&](const std::vector<std::string>& from, bool runs)
    {
        for (const std::string& line : from)
            if (const std::string service = serviceOf(line); runs == tellsOfRun(line) &&
                                                             (!service.empty() || lines.empty()) &&
                                                             told.insert(service).second)
                lines.push_back(line);
    };
    add(linesOf(before), true);
    add(started, true);
    add(linesOf(others), false);
    add(linesOf(before), false);
    std::string all; // the runs first: they stay when it is too long
    for (const std::string& line : lines)
        all += (all.empty() ? "" : "\n") + line;
    return all;
}

} // namespace

Submitted submit(Engine& engine, const Submission& submission)
{
    return engine.call<Submitted>(
        [&submission](Batch& batch, EngineParts& parts) -> Submitted
        {
            if (submission.idempotencyKey.empty())
                return {create(batch, parts, submission), true};
            const TimeMs now = nowMs();
            if (auto run = earlier(batch, submission, now))
                return {*run, false};
            Run run = create(batch, parts, submission);
            Submissions(batch.connection)
                .remember(submission.idempotencyKey, {run.id, submission.bodyHash}, now);
            return {run, true};
        });
}

Delivered deliver(Engine& engine, const HookDelivery& delivery,
                  const std::vector<Submission>& submissions)
{
    return engine.call<Delivered>(
        [&](Batch& batch, EngineParts& parts) -> Delivered
        {
            DeliveryStore store(batch.connection);
            const auto before =
                store.find(delivery.forge, delivery.delivery, delivery.at - DeliveryStore::keepMs);
            HookDelivery made = delivery;
            if (before)
                made.runIds = before->runIds;
            std::vector<std::string> started;
            std::string others = delivery.outcome;
            for (const Submission& submission : submissions)
            {
                if (before && hasRun(batch, *before, submission))
                    continue;
                if (const auto why = hasRunBecause(batch, delivery, submission); !why.empty())
                {
                    others.append(others.empty() ? "" : "\n")
                        .append(submission.serviceName)
                        .append(": no run: ")
                        .append(why);
                    continue;
                }
                const Run run = create(batch, parts, submission);
                made.runIds.push_back(run.id);
                started.push_back(submission.serviceName + runMark + run.id);
            }
            made.outcome =
                fittedText(merged(before ? before->outcome : "", started, others), longestOutcome);
            if (before && started.empty() && made.outcome == before->outcome)
                return {*before, true};
            store.add(made);
            return {made, started.empty() && !made.runIds.empty()};
        });
}

std::string rerun(Engine& engine, const std::string& runId, const std::string& actor)
{
    return engine.call<std::string>(
        [&](Batch& batch, EngineParts& parts) -> std::string
        {
            const Run run = needRun(batch, runId);
            if (!run.ended())
                throw Declined::conflict(
                    "run_not_ended",
                    "the run is " + std::string(toString(run.status)) +
                        (run.finishing() ? ", and its last stages are at work" : "") +
                        "; only an ended run can be run again");
            const Submission again{.pipeline = Pipeline::fromJson(run.pipeline),
                                   .serviceId = run.serviceId,
                                   .serviceName = run.serviceName,
                                   .commit = run.commitHash,
                                   .branch = run.branch,
                                   .commitMessage = run.commitMessage,
                                   .committer = run.committer,
                                   .trigger = run.trigger,
                                   .pullNumber = run.pullNumber,
                                   .labels = run.labels,
                                   .priority = run.priority,
                                   .actor = actor,
                                   .again = true};
            return create(batch, parts, again).id;
        });
}

} // namespace agent::commands
