#include "agent/api/Json.h"
#include "agent/api/OutgoingCommits.h"
#include "agent/api/Routes.h"
#include "agent/model/Id.h"
#include "agent/run/ApproveRun.h"
#include "agent/run/DeleteRun.h"
#include "agent/run/InputRules.h"
#include "agent/run/PatchRun.h"
#include "agent/run/RefusedVariables.h"
#include "agent/run/RunPipeline.h"
#include "agent/run/ServiceCatalog.h"
#include "agent/run/StopRun.h"
#include "agent/run/SubmitRun.h"
#include "agent/store/RunList.h"
#include "agent/store/ServiceRuns.h"
#include "agent/store/Submissions.h"

#include <Poco/SHA2Engine.h>
#include <Poco/URI.h>

#include <algorithm>
#include <charconv>

namespace agent
{

namespace
{

Declined invalid(const std::string& field, const std::string& message)
{
    return {Declined::Kind::Invalid, "invalid_value", message, field};
}

Declined noRun(const std::string& id)
{
    return {Declined::Kind::NotFound, "run_not_found", "there is no run " + id};
}

std::string digest(const std::string& text)
{
    Poco::SHA2Engine engine(Poco::SHA2Engine::SHA_256);
    engine.update(text);
    return Poco::DigestEngine::digestToHex(engine.digest());
}

/// Says that there is no such service, or what is wrong with its file, if the caller may see it.
Declined noService(const ApiParts& api, const Caller& caller, const std::string& name,
                   const std::string& field)
{
    if (const auto refused = api.services.refused(name); refused && caller.sees(refused->name))
        return {Declined::Kind::Conflict, "service_broken",
                "the service '" + name + "' can't be used: " + refused->problem +
                    "; stagectl doctor shows all of it",
                field};
    return {Declined::Kind::NotFound, "service_not_found",
            "there is no service '" + name + "' on this host", field};
}

/// Returns null when there is no such service, or none that the caller may see.
std::shared_ptr<const Service> visibleService(const ApiParts& api, const Request& request,
                                              const std::string& nameOrId)
{
    auto service = api.services.find(nameOrId);
    return service && request.caller.sees(service->name) ? service : nullptr;
}

/// A service may be named by its id and by its name at once.
bool sameService(const ApiParts& api, const std::string& one, const std::string& other)
{
    if (one == other)
        return true;
    const auto found = api.services.find(one);
    const auto second = api.services.find(other);
    return found && second && found->id == second->id;
}

/// Fills in the pipeline of the service, which `serviceField` names, or the inline one, checked.
void fillPipeline(const ApiParts& api, RunRequest& request, const std::string& serviceField,
                  const Caller& caller)
{
    Submission& submission = request.submission;
    PipelineSpec pipeline;
    std::vector<Problem> problems;
    std::vector<std::string>
        secrets; // which the request may not set, whether or not the run has them
    std::string prefix;
    const bool declared = !request.pipeline;
    if (declared)
    {
        const auto service = api.services.find(request.service);
        if (!service || !caller.sees(service->name))
            throw noService(api, caller, request.service, serviceField);
        submission.serviceId = service->id;
        submission.serviceName = service->name;
        submission.labels.insert(service->labels.begin(), service->labels.end());
        pipeline = pipelineFor(*service, submission.trigger, request.fork);
        secrets = allSecrets(service->pipeline);
    }
    else
    {
        if (request.fork)
            throw invalid("fork", "a run of a fork is one of a declared service");
        pipeline = std::move(request.pipeline->spec);
        problems = std::move(request.pipeline->problems);
        prefix = "pipeline";
    }
    checkPipeline(pipeline, std::move(problems), submission.serviceName, submission.trigger,
                  api.plugins, api.isolation, prefix);
    for (const auto& [name, value] : request.env)
    {
        if (std::find(secrets.begin(), secrets.end(), name) != secrets.end())
            throw invalid("env." + name, "'" + name + "' is a secret of the service");
        if (const auto problem = declared ? requestVariableProblem(name) : ""; !problem.empty())
            throw invalid("env." + name, problem);
        pipeline.env[name] = value;
    }
    try
    {
        submission.pipeline = Pipeline(std::move(pipeline));
    }
    catch (const std::runtime_error& error)
    {
        throw Declined(Declined::Kind::Invalid, "invalid_pipeline", error.what(), prefix);
    }
}

/// The services whose runs the caller may see.
ServiceChoice visibleServices(RecordSession& reader, const Caller& caller)
{
    if (!caller.narrowed())
        return ServiceChoice::all();
    std::vector<std::string> ids;
    for (const auto& [id, name] : ServiceRuns(reader).services())
        if (caller.sees(name))
            ids.push_back(id);
    return ServiceChoice::only(std::move(ids));
}

/// A pipeline of its own runs any command: that takes more than to start what this host declares.
void checkInline(const Request& request)
{
    if (!request.caller.may(Role::Operate))
        throw Refusal{.status = 403,
                      .code = "role_too_low",
                      .message = "a pipeline of its own needs the role operate; '" + request.actor +
                                 "' may start declared services",
                      .field = "pipeline"};
    if (request.caller.narrowed())
        throw Refusal{.status = 403,
                      .code = "token_narrowed",
                      .message = "the token of '" + request.actor +
                                 "' is narrowed to services: it starts no pipeline of its own",
                      .field = "pipeline"};
}

/// The run that the same request has made before: its service may be gone by now.
std::optional<Run> replayed(const ApiParts& api, const Submission& submission)
{
    if (submission.idempotencyKey.empty())
        return std::nullopt;
    auto reader = api.database.reader();
    constexpr TimeMs day = 86'400'000;
    const auto earlier = Submissions(*reader).find(submission.idempotencyKey, nowMs() - day);
    if (!earlier || earlier->bodyHash != submission.bodyHash)
        return std::nullopt; // the engine decides
    return RunStore(*reader).run(earlier->runId);
}

/// `SUCCESS`, or several with commas; each once.
std::vector<Status> statusesFrom(const std::string& text)
{
    std::vector<Status> statuses;
    for (std::size_t start = 0; start <= text.size();)
    {
        const std::size_t end = std::min(text.find(',', start), text.size());
        const std::string word = text.substr(start, end - start);
        const auto status = statusFrom(word);
        if (!status)
            throw invalid("status", "there is no status '" + word + "'");
        if (std::find(statuses.begin(), statuses.end(), *status) == statuses.end())
            statuses.push_back(*status);
        start = end + 1;
    }
    return statuses;
}

/// For a query: a branch may hold `&` and `+`.
std::string escaped(const std::string& text)
{
    std::string result;
    Poco::URI::encode(text, "&+#;=?%/", result);
    return result;
}

/// What a list of runs is to show, and the target of its next page but for `before=`.
std::pair<RunFilter, std::string> filterOf(const ApiParts& api, const Request& request)
{
    RunFilter filter;
    std::string next = "/api/runs?";
    if (const auto limit = request.parameter("limit"))
    {
        const auto [end, error] =
            std::from_chars(limit->data(), limit->data() + limit->size(), filter.limit);
        if (error != std::errc{} || end != limit->data() + limit->size() || filter.limit < 1 ||
            filter.limit > 1000)
            throw invalid("limit", "limit must be a whole number from 1 to 1000");
        next += "limit=" + *limit + "&";
    }
    if (const auto statuses = request.parameter("status"))
    {
        filter.statuses = statusesFrom(*statuses);
        next += "status=" + *statuses + "&";
    }
    if (const auto service = request.parameter("serviceId"))
    {
        const auto known = visibleService(api, request, *service);
        const auto id = known ? std::optional(known->id) : parseId(*service);
        if (!id)
            throw invalid("serviceId", "there is no service '" + *service + "'");
        filter.serviceId = *id;
        next += "serviceId=" + *id + "&";
    }
    if (const auto branch = request.parameter("branch"))
    {
        if (const auto problem = branchProblem(*branch); !problem.empty())
            throw invalid("branch", problem);
        filter.branch = *branch;
        next += "branch=" + escaped(*branch) + "&";
    }
    if (const auto commit = request.parameter("commit"))
    {
        const auto problem = commitProblem(*commit);
        if (commit->empty() || !problem.empty())
            throw invalid("commit", commit->empty() ? "commit is empty" : "commit " + problem);
        filter.commit = *commit;
        next += "commit=" + escaped(*commit) + "&";
    }
    if (const auto label = request.parameter("label"))
    {
        const auto colon = std::min(label->find(':'), label->size());
        filter.labelKey = label->substr(0, colon);
        filter.labelValue = label->substr(std::min(colon + 1, label->size()));
        if (colon == label->size() || !labelKeyProblem(filter.labelKey).empty())
            throw invalid("label", "label must be key:value, such as team:payments");
        next += "label=" + escaped(*label) + "&";
    }
    for (const auto& [name, into] :
         {std::pair{"since", &filter.since}, std::pair{"until", &filter.until}})
        if (const auto given = request.parameter(name))
        {
            *into = parseTime(*given, Zone::Any);
            if (!*into)
                throw invalid(name, std::string(name) +
                                        " must be a time such as 2023-03-20T17:17:13.760Z");
            next += std::string(name) + "=" + formatTime(**into) + "&";
        }
    if (const auto before = request.parameter("before"))
    {
        const auto id = parseId(*before);
        const auto run = id ? RunStore(*api.database.reader()).run(*id) : std::nullopt;
        if (!run || !request.caller.sees(*run))
            throw invalid("before", "there is no run '" + *before + "'");
        filter.beforeSeq = run->seq;
    }
    return {filter, next};
}

std::string factsJson(const ApiParts& api, const Run& run)
{
    auto reader = api.database.reader();
    return toApiJson(RunInquiry(*reader, api.engine.status(), api.services).of(run));
}

} // namespace

void needVisibleRun(const ApiParts& api, const Request& request, const std::string& runId)
{
    auto reader = api.database.reader();
    const auto run = RunStore(*reader).run(runId);
    if (!run || !request.caller.sees(*run))
        throw noRun(runId);
}

Response createRun(const ApiParts& api, const Request& request, const std::string&)
{
    const auto serviceId = request.parameter("serviceId");
    RunRequest wanted = runRequestFrom(request.body.empty() ? "{}" : request.body);
    if (serviceId && !wanted.service.empty() && !sameService(api, *serviceId, wanted.service))
        throw invalid("service", "serviceId and service name two services");
    if (serviceId)
        wanted.service = *serviceId;
    if (wanted.service.empty() != wanted.pipeline.has_value())
        throw invalid("service", wanted.service.empty() ? "give a service or a pipeline"
                                                        : "give a service or a pipeline, not both");
    if (wanted.pipeline)
        checkInline(request);
    Submission& submission = wanted.submission;
    submission.idempotencyKey = request.header("idempotency-key");
    if (const auto problem = textProblem(submission.idempotencyKey, bounds::name); !problem.empty())
        throw invalid("Idempotency-Key", "an Idempotency-Key " + problem);
    submission.bodyHash = digest(serviceId.value_or("") + "\n" + request.body);
    submission.actor = request.actor;
    if (const auto earlier = replayed(api, submission); earlier && request.caller.sees(*earlier))
        return {.headers = {{"Location", "/api/runs/" + earlier->id}},
                .body = factsJson(api, *earlier)};
    fillPipeline(api, wanted, serviceId ? "serviceId" : "service", request.caller);
    const auto made = commands::submit(api.engine, submission);
    return {.status = made.created ? 201 : 200,
            .headers = {{"Location", "/api/runs/" + made.run.id}},
            .body = factsJson(api, made.run)};
}

Response listRuns(const ApiParts& api, const Request& request, const std::string&)
{
    const auto [filter, next] = filterOf(api, request);
    const bool withStages = detailed(request);
    const auto services = visibleServices(*api.database.reader(), request.caller);
    const auto page = ServiceRuns(*api.database.reader()).page(filter, services);
    if (!page)
        return {.body = "[]"};
    Response response = arrayOf(elementsOf<RunFacts>(
        [&api, filter = filter, page, services, withStages,
         status = api.engine.status()](const RunFacts* last)
        {
            auto session = api.database.reader();
            RunFilter part = filter;
            part.limit = 8; // commit messages of 8 KiB; older records hold longer ones
            part.beforeSeq = last ? last->run.seq : page->firstSeq + 1;
            const Snapshot snapshot(*session);
            RunInquiry inquiry(*session, status, api.services);
            std::vector<RunFacts> facts;
            for (auto& run : ServiceRuns(*session).runs(part, services))
                if (run.seq >= page->lastSeq)
                    facts.push_back(inquiry.of(std::move(run), withStages));
            return facts;
        },
        [](const RunFacts& facts) { return toApiJson(facts); }));
    if (page->more)
        response.headers["Link"] = "<" + next + (withStages ? "view=detail&" : "") +
                                   "before=" + page->lastId + ">; rel=\"next\"";
    return response;
}

Response showRun(const ApiParts& api, const Request&, const std::string& id)
{
    auto reader = api.database.reader();
    const auto run = RunStore(*reader).run(id);
    if (!run)
        throw noRun(id);
    return {.body = factsJson(api, *run)};
}

Response patchRun(const ApiParts& api, const Request& request, const std::string& id)
{
    RunPatch patch = runPatchFrom(request.body);
    patch.actor = request.actor;
    commands::patchRun(api.engine, id, patch);
    return {.body = "{}"};
}

Response deleteRun(const ApiParts& api, const Request& request, const std::string& id)
{
    // Before it is gone, as its stages are then.
    std::optional<RunOutlook::FailedStage> failed;
    RunOutlook::Results results;
    {
        auto reader = api.database.reader();
        failed = RunOutlook(*reader).failedStage(id);
        results = RunOutlook(*reader).results(id);
    }
    return {.body = toApiJson(RunFacts{.run = commands::deleteRun(api.engine, id, request.actor),
                                       .failedStage = std::move(failed),
                                       .waitingFor = std::nullopt,
                                       .results = results})};
}

Response stopRun(const ApiParts& api, const Request& request, const std::string& id)
{
    return {.body = stoppedJson(commands::stop(api.engine, id, request.actor))};
}

Response rerunRun(const ApiParts& api, const Request& request, const std::string& id)
{
    if (!request.caller.may(Role::Operate))
    {
        auto reader = api.database.reader();
        if (const auto run = RunStore(*reader).run(id); run && run->serviceId.empty())
            checkInline(request);
    }
    return {.contentType = "text/plain", .body = commands::rerun(api.engine, id, request.actor)};
}

Response approveRun(const ApiParts& api, const Request& request, const std::string& id)
{
    commands::approve(api.engine, id,
                      {.name = request.actor, .role = request.caller.role.value_or(Role::Read)});
    return {.body = "{}"};
}

Response runCommits(const ApiParts& api, const Request&, const std::string& id)
{
    auto reader = api.database.reader();
    const auto run = RunStore(*reader).run(id);
    if (!run)
        throw noRun(id);
    return {.body = toApiJson(outgoingCommits(*reader, *run))};
}

Response runHistory(const ApiParts& api, const Request&, const std::string& id)
{
    {
        auto reader = api.database.reader();
        if (History(*reader).ofRun(id, 0, 1).empty())
            throw noRun(id);
    }
    return arrayOf(historyElements(api.database,
                                   [id](History history, std::int64_t after, int limit)
                                   { return history.ofRun(id, after, limit); }));
}

Response listServices(const ApiParts& api, const Request& request, const std::string&)
{
    using Shared = std::shared_ptr<const Service>;
    auto services = api.services.all();
    std::erase_if(services,
                  [&](const Shared& service) { return !request.caller.sees(service->name); });
    return arrayOf(elementsOf<Shared>(std::move(services),
                                      [](const Shared& service) { return toApiJson(*service); }));
}

Response showService(const ApiParts& api, const Request& request, const std::string& id)
{
    const auto service = visibleService(api, request, id);
    if (!service)
        throw noService(api, request.caller, id, "");
    return {.body = toApiJson(*service)};
}

} // namespace agent
