// What the agent says of itself and of what is stuck in it.
#include "agent/api/Json.h"
#include "agent/api/Metrics.h"
#include "agent/api/Routes.h"
#include "agent/model/Characters.h"
#include "agent/model/Utf8.h"
#include "agent/run/ServiceCommands.h"
#include "agent/run/UnkillableStage.h"
#include "agent/store/LogReader.h"

#include <algorithm>
#include <chrono>

namespace agent
{

namespace
{

/// So many of the last lines of a stuck stage are shown.
constexpr std::uint64_t lastLines = 5;
constexpr std::size_t lastLineBytes = 4096; ///< the log has all of it

/// A slow disk takes less for a transaction; a thread that hangs takes for ever.
constexpr std::chrono::seconds engineAnswersWithin{5};

struct Fact
{
    std::string line;
    bool good;
};

Response answerTo(const std::vector<Fact>& facts, const std::string& whenGood)
{
    bool good = true;
    std::string body;
    for (const auto& fact : facts)
    {
        good = good && fact.good;
        body += fact.line + "\n";
    }
    return {.status = good ? 200 : 503,
            .contentType = "text/plain; charset=utf-8",
            .body = body + (good ? "" : "not ") + whenGood + "\n"};
}

Fact storeFact(const EngineStatus& facts, const RecordCheck& check)
{
    if (const auto damage = check.result().damage; facts.alive && !damage.empty())
        return {"store: the record is damaged: " + damage, false};
    return {facts.alive ? "store: ok" : "store: the last transaction failed", facts.alive};
}

Fact diskFact(const EngineStatus& facts)
{
    return {"disk: " + (facts.diskLow
                            ? facts.diskLack
                            : "ok, " + std::to_string(facts.freeBytes >> 20) + " MiB free"),
            !facts.diskLow};
}

/// Does not count as not ready: the others run, and this one may as it was last read. Without names, as
/// everybody may ask.
Fact servicesFact(const ServiceCatalog& services)
{
    const std::size_t refused = services.allRefused().size();
    const std::string count = std::to_string(services.all().size()) + " in use";
    return {refused == 0
                ? "services: ok, " + count
                : "services: " + std::to_string(refused) + (refused == 1 ? " file" : " files") +
                      " can't be used, " + count + "; see stagectl services",
            true};
}

/// Draining is an operator's wish; without a slot no run goes on, whatever anybody wishes.
Fact executorFact(const EngineStatus& facts)
{
    const auto setAside = static_cast<int>(facts.blockedSlots.size());
    const auto ofSlots = [&](int count)
    { return std::to_string(count) + " of " + std::to_string(facts.slots); };
    const std::string queued = std::to_string(facts.queued) + " queued";
    if (setAside > 0 && setAside >= facts.slots)
        return {"executor: no slot can be used, " + ofSlots(setAside) + " set aside, " + queued,
                false};
    return {(facts.draining ? "executor: draining, " : "executor: ok, ") + ofSlots(facts.running) +
                " slots in use, " +
                (setAside > 0 ? std::to_string(setAside) + " set aside, " : "") + queued,
            !facts.draining};
}

std::vector<std::string> endOfLog(const ApiParts& api, const Stage& stage)
{
    std::vector<std::string> lines;
    auto log = LogReader::open(api.state.attempt(stage, stage.attempt));
    if (!log)
        return lines;
    const std::uint64_t count = log->lineCount();
    for (const auto& line :
         log->lines(count > lastLines ? count - lastLines : 0, static_cast<std::size_t>(lastLines)))
        lines.push_back(shortened(validUtf8(line.text), lastLineBytes));
    return lines;
}

bool seesStage(RunStore& runs, const Request& request, const Stage& stage)
{
    const auto run = runs.run(stage.runId);
    return run && request.caller.sees(*run);
}

} // namespace

Response listStuck(const ApiParts& api, const Request& request, const std::string&)
{
    auto reader = api.database.reader();
    RunStore runs(*reader);
    auto stuck = runs.stuckStages();
    if (request.caller.narrowed())
        std::erase_if(stuck, [&](const Stage& stage) { return !seesStage(runs, request, stage); });
    return arrayOf(elementsOf<Stage>(
        std::move(stuck),
        [&api](const Stage& stage)
        {
            const auto run = RunStore(*api.database.reader()).run(stage.runId);
            return toApiJson(StuckStage{
                .stage = stage,
                .serviceName = run ? run->serviceName : "",
                .processes = run ? shownProcesses(api.state, *run, stage, api.stages.secrets)
                                 : std::vector<ProcessDetail>(),
                .lastLines = endOfLog(api, stage)});
        }));
}

Response showAgent(const ApiParts& api, const Request& request, const std::string&)
{
    return {.body = agentJson({.facts = api.engine.status(),
                               .options = api.engine.options(),
                               .plugins = api.plugins,
                               .refused = api.services.allRefused(),
                               .actor = request.actor,
                               .caller = request.caller})};
}

Response drain(const ApiParts& api, const Request&, const std::string&)
{
    commands::drain(api.engine, true);
    return {.body = "{}"};
}

Response resume(const ApiParts& api, const Request&, const std::string&)
{
    commands::drain(api.engine, false);
    return {.body = "{}"};
}

Response health(const ApiParts& api, const Request&, const std::string&)
{
    // A full disk or a draining agent is for people to see to: another start of the agent mends neither.
    // A snapshot alone would be healthy for ever behind a thread that hangs.
    const bool answers = api.engine.ping(engineAnswersWithin);
    const auto facts = api.engine.status();
    return answerTo(
        {storeFact(facts, api.recordCheck),
         {diskFact(facts).line, true},
         {answers ? executorFact(facts).line : "executor: the engine does not answer", answers}},
        "healthy");
}

Response ready(const ApiParts& api, const Request&, const std::string&)
{
    const auto facts = api.engine.status();
    return answerTo({storeFact(facts, api.recordCheck), diskFact(facts), servicesFact(api.services),
                     executorFact(facts)},
                    "ready");
}

Response metrics(const ApiParts& api, const Request& request, const std::string&)
{
    auto reader = api.database.reader();
    RunStore runs(*reader);
    const auto stuck = runs.stuckStages();
    Response response{.contentType = "text/plain; version=0.0.4; charset=utf-8"};
    if (request.caller.narrowed())
        response.body = stuckMetrics(
            static_cast<std::size_t>(std::count_if(stuck.begin(), stuck.end(),
                                                   [&](const Stage& stage)
                                                   {
                                                       const auto run = runs.run(stage.runId);
                                                       return run && request.caller.sees(*run);
                                                   })));
    else
        response.body =
            metricsText(api.engine.status(), stuck.size()) +
            recordMetrics(api.recordCheck.result()) + accessMetrics(api.access.access.failures()) +
            hookMetrics(api.hooks.counts()) + outboxMetrics(api.outbox.status(), nowMs()) +
            cacheMetrics(api.caches.counts(), api.caches.store().bytes()) +
            (api.tls != nullptr ? certificateMetrics(api.tls->expiresAt()) : "");
    return response;
}

} // namespace agent
