#include "agent/ctl/Commands.h"
#include "agent/ctl/Cells.h"
#include "agent/ctl/Json.h"
#include "agent/ctl/Lookup.h"
#include "agent/ctl/Table.h"

namespace agent::ctl
{

namespace
{

void addHistory(const Session& session, Table& table, const std::string& stage,
                const rapidjson::Value& history)
{
    for (const rapidjson::Value& entry : history.GetArray())
    {
        std::vector<std::string> cells{timeCell(entry, "at"),  text(entry, "from"),
                                       text(entry, "to"),      text(entry, "cause"),
                                       text(entry, "attempt"), text(entry, "actor"),
                                       text(entry, "reason")};
        if (!stage.empty())
            cells.insert(cells.begin(), idCell(session.terminal, stage));
        table.add(cells);
    }
}

Exit showRunHistory(const Session& session, const Target& run)
{
    const auto stages = listOf(run.client->ask({.path = "/api/stages?runId=" + run.id}));
    Table table({"STAGE", "AT", "FROM", "TO", "CAUSE", "ATTEMPT", "ACTOR", "REASON"});
    ObjectWriter all;
    for (const rapidjson::Value& stage : stages.GetArray())
    {
        const std::string id = text(stage, "id");
        const Answer answer = run.client->ask({.path = "/api/stages/" + encoded(id) + "/history"});
        addHistory(session, table, id, listOf(answer));
        all.addJson(id, answer.body);
    }
    if (session.json)
        printJson(all.done());
    else
        writeOut(table.render(session.terminal));
    return Exit::Ok;
}

} // namespace

void printJson(const std::string& body)
{
    writeOut(body);
    if (body.empty() || body.back() != '\n')
        writeOut("\n");
}

Exit listStages(const Session& session, const std::string& name)
{
    const Target run = findRun(session.agents, name, Use::Read);
    const Answer answer = run.client->ask({.path = "/api/stages?runId=" + run.id});
    const auto stages = listOf(answer);
    // The API returns an empty list for an unknown run; the user is to get an error.
    if (stages.Empty())
        static_cast<void>(run.client->ask({.path = "/api/runs/" + run.id}));
    if (session.json)
    {
        printJson(answer.body);
        return Exit::Ok;
    }
    Table table({"STAGE", "STATUS", "STARTED", "ENDED", "TIME", "TYPE"});
    for (const rapidjson::Value& stage : stages.GetArray())
        table.add({idCell(session.terminal, text(stage, "id")), text(stage, "status"),
                   timeCell(stage, "startedAt"), timeCell(stage, "endedAt"), tookCell(stage),
                   text(stage, "type")});
    writeOut(table.render(session.terminal));
    return Exit::Ok;
}

Exit showStage(const Session& session, const std::string& name)
{
    const Target stage = findStage(session.agents, name, Use::Read);
    const Answer answer = stage.client->ask({.path = "/api/stages/" + stage.id});
    const auto detail = objectOf(answer);
    if (session.json)
        printJson(answer.body);
    else
        writeOut(described(session.terminal, detail));
    return Exit::Ok;
}

Exit showHistory(const Session& session, const std::string& stageOrRun)
{
    const Target target = findRunOrStage(session.agents, stageOrRun, Use::Read);
    if (target.kind == Target::Kind::Run)
        return showRunHistory(session, target);
    const Answer answer = target.client->ask({.path = "/api/stages/" + target.id + "/history"});
    const auto history = listOf(answer);
    if (session.json)
    {
        printJson(answer.body);
        return Exit::Ok;
    }
    Table table({"AT", "FROM", "TO", "CAUSE", "ATTEMPT", "ACTOR", "REASON"});
    addHistory(session, table, "", history);
    writeOut(table.render(session.terminal));
    return Exit::Ok;
}

} // namespace agent::ctl
