#include "agent/ctl/Commands.h"
#include "agent/ctl/Cells.h"
#include "agent/ctl/Json.h"
#include "agent/ctl/Lookup.h"
#include "agent/ctl/Table.h"

namespace agent::ctl
{

namespace
{

/// Prints the entries; those of a run with the stage of each, which the run's own have not.
Exit printHistory(const Session& session, const Answer& answer, bool ofRun)
{
    const auto history = listOf(answer);
    if (session.json)
    {
        printJson(answer.body);
        return Exit::Ok;
    }
    std::vector<std::string> headings{"AT", "FROM", "TO", "CAUSE", "ATTEMPT", "ACTOR", "REASON"};
    if (ofRun)
        headings.insert(headings.begin(), "STAGE");
    Table table(std::move(headings));
    for (const rapidjson::Value& entry : history.GetArray())
    {
        const std::string stage = text(entry, "stageId");
        std::vector<std::string> cells{timeCell(entry, "at"),
                                       text(entry, "from"),
                                       text(entry, "to"),
                                       text(entry, "cause"),
                                       stage.empty() && ofRun ? "" : text(entry, "attempt"),
                                       text(entry, "actor"),
                                       text(entry, "reason")};
        if (ofRun)
            cells.insert(cells.begin(),
                         stage.empty() ? "the run" : idCell(session.terminal, stage));
        table.add(cells);
    }
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
    const bool ofRun = target.kind == Target::Kind::Run;
    const std::string path = ofRun ? "/api/runs/" : "/api/stages/";
    return printHistory(session, target.client->ask({.path = path + target.id + "/history"}),
                        ofRun);
}

} // namespace agent::ctl
