#include "agent/ctl/Commands.h"
#include "agent/ctl/Cells.h"
#include "agent/ctl/Json.h"
#include "agent/ctl/Lookup.h"
#include "agent/ctl/StageWords.h"
#include "agent/ctl/Table.h"
#include "agent/ctl/Text.h"
#include "agent/ctl/Yaml.h"

#include <algorithm>

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
        printDocument(session, answer.body);
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

std::string Session::document(const std::string& body) const
{
    return yaml ? yamlOf(body) : body;
}

void printDocument(const Session& session, const std::string& body)
{
    const std::string document = session.document(body);
    writeOut(document);
    if (document.empty() || document.back() != '\n')
        writeOut("\n");
}

Exit listStages(const Session& session, const std::string& name)
{
    const Target run = findRun(session.agents, name, Use::Read);
    const Terminal& terminal = session.terminal;
    const Answer answer = run.client->ask(
        {.path = "/api/stages?runId=" + run.id + (session.json ? "" : "&view=detail")});
    const auto stages = listOf(answer);
    // The API returns an empty list for an unknown run; the user is to get an error.
    const auto shown = objectOf(run.client->ask({.path = "/api/runs/" + run.id}));
    if (session.json)
    {
        printDocument(session, answer.body);
        return Exit::Ok;
    }
    const bool runEnded = !text(shown, "endedAt").empty();
    const auto hasName = [](const rapidjson::Value& stage)
    { return text(stage, "name") != text(stage, "type"); };
    const bool names = terminal.wide || std::any_of(stages.Begin(), stages.End(), hasName);
    const bool times = terminal.wide || !terminal.interactive || terminal.width >= wideEnough;
    std::vector<std::string> headings{"STAGE", "STATUS"};
    if (times)
        headings.emplace_back("STARTED");
    if (terminal.wide)
        headings.insert(headings.end(), {"ENDED", "ATTEMPT", "PLUGIN"});
    headings.insert(headings.end(), {"TIME", "TYPE"});
    if (names)
        headings.emplace_back("NAME");
    headings.emplace_back("WHY");
    Table table(headings);
    for (const rapidjson::Value& stage : stages.GetArray())
    {
        std::vector<std::string> cells{idCell(terminal, text(stage, "id")),
                                       stageStatus(stage, runEnded)};
        if (times)
            cells.push_back(timeCell(stage, "startedAt"));
        if (terminal.wide)
            cells.insert(cells.end(), {timeCell(stage, "endedAt"), text(stage, "attempt"),
                                       text(stage, "plugin")});
        cells.insert(cells.end(), {tookCell(stage), text(stage, "type")});
        if (names)
            cells.push_back(hasName(stage) ? text(stage, "name") : "");
        cells.push_back(stageWhy(stage));
        table.add(cells);
    }
    writeOut(table.render(terminal));
    const std::string waits = waitsCell(terminal, shown);
    if (!waits.empty() && !terminal.names)
        writeOut("waits for " + visible(waits) + "\n");
    return Exit::Ok;
}

Exit showStage(const Session& session, const std::string& name)
{
    const Target stage = findStage(session.agents, name, Use::Read);
    const Answer answer = stage.client->ask({.path = "/api/stages/" + stage.id});
    const auto detail = objectOf(answer);
    if (session.json)
        printDocument(session, answer.body);
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
