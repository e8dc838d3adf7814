// The outbox in JSON.
#include "agent/api/Json.h"
#include "agent/api/JsonMembers.h"

namespace agent
{

namespace
{

using namespace json;

void putReport(Writer& out, const Report& report)
{
    put(out, "id", report.id);
    put(out, "target", report.target);
    put(out, "event", report.event);
    put(out, "runId", report.runId);
    putNumber(out, "number", std::optional(report.number));
    put(out, "createdAt", formatTime(report.at));
}

void putTarget(Writer& out, const TargetStatus& target)
{
    put(out, "name", target.name);
    putOrNull(out, "type", target.type);
    putOrNull(out, "url", target.url);
    put(out, "state", target.state);
    putOrNull(out, "lastError", target.lastError);
    putTime(out, "failingSince", target.failingSince);
    putTime(out, "nextAttemptAt", target.nextAttemptAt);
    putNumber(out, "waiting", std::optional(target.backlog.reports));
    putTime(out, "oldestAt", target.backlog.oldestAt);
    putNumber(out, "sent", std::optional(static_cast<std::int64_t>(target.sent)));
    putNumber(out, "failures", std::optional(static_cast<std::int64_t>(target.failures)));
    putNumber(out, "dropped", std::optional(static_cast<std::int64_t>(target.dropped)));
}

} // namespace

std::string toApiJson(const Report& report)
{
    return object([&](Writer& out) { putReport(out, report); });
}

std::string outboxJson(const std::vector<TargetStatus>& targets,
                       const std::vector<WaitingReport>& reports)
{
    return object(
        [&](Writer& out)
        {
            out.Key("targets");
            out.StartArray();
            for (const auto& target : targets)
            {
                out.StartObject();
                putTarget(out, target);
                out.EndObject();
            }
            out.EndArray();
            out.Key("reports");
            out.StartArray();
            for (const auto& [report, standing] : reports)
            {
                out.StartObject();
                putReport(out, report);
                putNumber(out, "failures", std::optional(standing ? standing->failures : 0));
                putTime(out, "nextAttemptAt",
                        standing ? std::optional(standing->at) : std::nullopt);
                out.EndObject();
            }
            out.EndArray();
        });
}

} // namespace agent
