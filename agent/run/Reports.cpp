#include "agent/run/Reports.h"

#include "agent/model/Id.h"
#include "agent/run/Batch.h"
#include "agent/run/RunSpecs.h"
#include "agent/store/OutboxStore.h"

#include <algorithm>

namespace agent
{

void Subscriptions::set(List list)
{
    auto next = std::make_shared<const List>(std::move(list));
    const std::lock_guard lock(_mutex);
    _list.swap(next);
}

std::shared_ptr<const Subscriptions::List> Subscriptions::current() const
{
    const std::lock_guard lock(_mutex);
    return _list;
}

std::shared_ptr<const Subscriptions::List> Reports::wanted() const
{
    auto list = _options.subscriptions == nullptr ? nullptr : _options.subscriptions->current();
    return list && list->empty() ? nullptr : list;
}

void Reports::ofRun(Batch& batch, const char* event, const Run& run, const std::string& actor,
                    const std::string& reason)
{
    if (const auto list = wanted())
        write(batch, *list, event, run, nullptr, actor, reason);
}

void Reports::ofStage(Batch& batch, const Stage& stage, bool began, const std::string& actor,
                      const std::string& reason)
{
    const auto list = wanted();
    const auto run = list ? batch.runs.run(stage.runId) : std::nullopt;
    if (!run)
        return;
    write(batch, *list, reportEvents::stageChanged, *run, &stage, actor, reason);
    if (began && stage.plugin != "external" && stage.type != StageType::Other)
        write(batch, *list, reportEvents::stageLog, *run, &stage, actor, reason);
}

void Reports::write(Batch& batch, const Subscriptions::List& list, const char* event,
                    const Run& run, const Stage* stage, const std::string& actor,
                    const std::string& reason)
{
    const auto wants = [&](const Subscription& one) { return one.wants(event, run.serviceName); };
    if (std::none_of(list.begin(), list.end(), wants))
        return;
    OutboxStore outbox(batch.connection);
    const bool log = event == std::string_view(reportEvents::stageLog);
    Report report{.runId = run.id,
                  .number = log ? 0 : outbox.takeNumber(run.id), // receivers of all events see each
                  .event = event,
                  .at = stage == nullptr ? run.updatedAt : stage->updatedAt};
    RunOutlook outlook(batch.connection);
    const auto failed = run.status == Status::Failure ? outlook.failedStage(run.id) : std::nullopt;
    const auto results = run.startedAt ? outlook.results(run.id) : RunOutlook::Results{};
    const std::string repository = _specs.repository(run);
    std::optional<std::vector<Stage>> stages;
    for (const Subscription& one : list)
    {
        if (!wants(one))
            continue;
        const bool whole = one.wholeRun && !log;
        if (whole && !stages)
            stages = batch.runs.stages(run.id);
        report.id = newId();
        report.target = one.target;
        report.body = _options.body({report, run, failed, results, stage, actor, reason, repository,
                                     whole ? &*stages : nullptr});
        outbox.append(report);
        batch.reported = true;
    }
}

} // namespace agent
