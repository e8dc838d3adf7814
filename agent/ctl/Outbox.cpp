// `stagectl outbox …`.
#include "agent/ctl/Cells.h"
#include "agent/ctl/Commands.h"
#include "agent/ctl/Json.h"
#include "agent/ctl/Table.h"
#include "agent/ctl/Text.h"

namespace agent::ctl
{

namespace
{

std::string targetsTable(const Session& session, const rapidjson::Value& targets)
{
    Table table({"TARGET", "TYPE", "STATE", "WAITING", "OLDEST", "NEXT", "SENT", "DROPPED", "URL",
                 "ERROR"});
    for (const auto& target : targets.GetArray())
        table.add({text(target, "name"), text(target, "type"), text(target, "state"),
                   text(target, "waiting"), timeCell(target, "oldestAt"),
                   timeCell(target, "nextAttemptAt"), text(target, "sent"), text(target, "dropped"),
                   text(target, "url"), text(target, "lastError")});
    return table.render(session.terminal);
}

std::string reportsTable(const Session& session, const rapidjson::Value& reports)
{
    Table table({"REPORT", "TARGET", "EVENT", "RUN", "NUMBER", "SINCE", "FAILURES", "NEXT"});
    for (const auto& report : reports.GetArray())
        table.add({text(report, "id"), text(report, "target"), text(report, "event"),
                   idCell(session.terminal, text(report, "runId")), text(report, "number"),
                   timeCell(report, "createdAt"), text(report, "failures"),
                   timeCell(report, "nextAttemptAt")});
    return table.render(session.terminal);
}

/// Prints what became of the report.
Exit told(const Session& session, const Answer& answer, const char* what)
{
    const auto report = objectOf(answer);
    if (session.json)
        printDocument(session, answer.body);
    else
        writeOut(std::string(what) + " " + visible(text(report, "event")) + " for " +
                 visible(text(report, "target")) + "\n");
    return Exit::Ok;
}

} // namespace

Exit listOutbox(const Session& session, std::int64_t limit)
{
    const Client& client = theAgent(session, "outbox list");
    const Answer answer = client.ask({.path = "/api/outbox?limit=" + std::to_string(limit)});
    const auto outbox = objectOf(answer);
    const rapidjson::Value* targets = member(outbox, "targets");
    const rapidjson::Value* reports = member(outbox, "reports");
    if (session.json || targets == nullptr || reports == nullptr || !targets->IsArray() ||
        !reports->IsArray())
    {
        printDocument(session, answer.body);
        return Exit::Ok;
    }
    writeOut(targetsTable(session, *targets));
    if (!reports->Empty())
        writeOut("\n" + reportsTable(session, *reports));
    return Exit::Ok;
}

Exit retryReport(const Session& session, const std::string& id)
{
    return told(session,
                theAgent(session, "outbox retry")
                    .ask({.method = "POST", .path = "/api/outbox/" + encoded(id) + "/retry"}),
                "tried again:");
}

Exit dropReport(const Session& session, const std::string& id)
{
    return told(session,
                theAgent(session, "outbox drop")
                    .ask({.method = "DELETE", .path = "/api/outbox/" + encoded(id)}),
                "dropped:");
}

} // namespace agent::ctl
