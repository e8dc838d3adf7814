// Reports that wait for their targets.
#include "agent/api/Json.h"
#include "agent/api/Routes.h"
#include "agent/run/ReportCommands.h"
#include "agent/store/OutboxStore.h"

#include <charconv>

namespace agent
{

namespace
{

constexpr int mostReports = 1000;

int limitOf(const Request& request)
{
    const std::string text = request.parameter("limit").value_or("100");
    int limit = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
    if (error != std::errc{} || end != text.data() + text.size() || limit < 1 ||
        limit > mostReports)
        throw Refusal{400, "invalid_value", "limit must be a whole number from 1 to 1000", "limit"};
    return limit;
}

Report needReport(const ApiParts& api, const std::string& id)
{
    auto reader = api.database.reader();
    auto report = OutboxStore(*reader).find(id);
    if (!report)
        throw Refusal{404, "report_not_found",
                      "no report " + id + " waits: it was confirmed or dropped", ""};
    return *report;
}

} // namespace

Response listOutbox(const ApiParts& api, const Request& request, const std::string&)
{
    const int limit = limitOf(request);
    std::int64_t after = 0;
    if (const auto given = request.parameter("after"))
        after = needReport(api, *given).seq;
    std::vector<WaitingReport> reports;
    auto reader = api.database.reader();
    for (auto& report : OutboxStore(*reader).list(after, limit))
    {
        const auto standing = api.outbox.standing(report);
        reports.push_back({std::move(report), standing});
    }
    return {.body = outboxJson(api.outbox.status(), reports)};
}

Response retryReport(const ApiParts& api, const Request&, const std::string& id)
{
    const Report report = needReport(api, id);
    if (!api.outbox.retry(report))
        throw Refusal{409, "target_missing",
                      "nothing is sent to the target '" + report.target +
                          "': it has no file in outbox.dir, or wants no more reports",
                      ""};
    return {.body = toApiJson(report)};
}

Response dropReport(const ApiParts& api, const Request&, const std::string& id)
{
    const Report report = needReport(api, id);
    commands::removeReports(api.engine, {report.seq});
    // Whoever waits behind it is due now.
    api.outbox.retry(report);
    return {.body = toApiJson(report)};
}

} // namespace agent
