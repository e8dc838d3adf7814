#include "agent/run/Reports.h"

#include "agent/model/Id.h"
#include "agent/run/Batch.h"
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

void Reports::ofStage(Batch& batch, const Stage& stage, const std::string& actor,
                      const std::string& reason)
{
    const auto list = wanted();
    const auto run = list ? batch.runs.run(stage.runId) : std::nullopt;
    if (run)
        write(batch, *list, reportEvents::stageChanged, *run, &stage, actor, reason);
}

void Reports::write(Batch& batch, const Subscriptions::List& list, const char* event,
                    const Run& run, const Stage* stage, const std::string& actor,
                    const std::string& reason)
{
    const auto wants = [&](const Subscription& one) { return one.wants(event, run.serviceName); };
    if (std::none_of(list.begin(), list.end(), wants))
        return;
    OutboxStore outbox(batch.connection);
    Report report{.runId = run.id,
                  .number = outbox.takeNumber(run.id),
                  .event = event,
                  .at = stage == nullptr ? run.updatedAt : stage->updatedAt};
    const auto failed = run.status == Status::Failure
                            ? RunOutlook(batch.connection).failedStage(run.id)
                            : std::nullopt;
    for (const Subscription& one : list)
    {
        if (!wants(one))
            continue;
        report.id = newId();
        report.target = one.target;
        report.body = _options.body({report, run, failed, stage, actor, reason});
        outbox.append(report);
        batch.reported = true;
    }
}

} // namespace agent
