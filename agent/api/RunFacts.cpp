#include "agent/api/RunFacts.h"

namespace agent
{

RunFacts RunInquiry::of(Run run, bool withStages)
{
    RunFacts facts{.run = std::move(run), .failedStage = std::nullopt, .waitingFor = std::nullopt};
    if (facts.run.status == Status::Failure)
        facts.failedStage = _outlook.failedStage(facts.run.id);
    if (!facts.run.ended())
        facts.waitingFor = waitingFor(facts.run);
    if (!facts.run.ended() && facts.run.status != Status::Idle)
        facts.currentStage = _outlook.currentStage(facts.run.id);
    if (facts.run.startedAt)
        facts.results = _outlook.results(facts.run.id);
    if (withStages)
        facts.stages = _outlook.stageStates(facts.run.id);
    return facts;
}

std::optional<Waiting> RunInquiry::waitingFor(const Run& run)
{
    if (run.status == Status::AwaitingApproval)
        return Waiting{.reason = "approval", .until = _outlook.approvalUntil(run.id)};
    if (run.wantsSlot)
        return inQueue(run);
    if (run.holdsSlot || run.status == Status::Idle)
        return std::nullopt;
    const auto pause = _outlook.pause(run.id);
    if (pause.retryAt)
        return Waiting{.reason = "retry", .until = pause.retryAt};
    return pause.external ? std::optional(Waiting{.reason = "external"}) : std::nullopt;
}

std::optional<Waiting> RunInquiry::inQueue(const Run& run)
{
    if (!_places)
        _places = _outlook.places();
    Waiting waiting{.reason = "slot"};
    if (const auto found = _places->find(run.id); found != _places->end())
        waiting.place = found->second;
    const bool begun = run.status != Status::Idle;
    if (!begun && _status.draining)
        waiting.reason = "draining";
    else if (_status.diskLow)
        waiting.reason = "disk";
    else if (!begun)
        waiting.runId = blockedBy(run);
    if (!waiting.runId.empty())
        waiting.reason = "concurrency";
    return waiting;
}

/// Returns the first of the runs that use up the concurrency of the run's service; empty when they don't.
std::string RunInquiry::blockedBy(const Run& run)
{
    if (run.serviceName.empty())
        return "";
    const auto [known, isNew] = _blockers.try_emplace(run.serviceName);
    if (isNew)
    {
        // As the engine has it: a service that is gone allows one.
        const auto service = _services.find(run.serviceName);
        const int concurrency = service ? service->concurrency : 1;
        const auto begun = _outlook.begun(run.serviceName, concurrency);
        if (static_cast<int>(begun.size()) >= concurrency)
            known->second = begun.front();
    }
    return known->second;
}

} // namespace agent
