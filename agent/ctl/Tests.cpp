// `stagectl tests`: what the test reports of a run say.
#include "agent/ctl/Commands.h"
#include "agent/ctl/Json.h"
#include "agent/ctl/Lookup.h"
#include "agent/ctl/StageWords.h"
#include "agent/ctl/Text.h"

#include <sstream>

namespace agent::ctl
{

namespace
{

/// Returns the text in lines that begin with so many blanks; without what could control a terminal.
std::string indented(const std::string& text, std::size_t indent)
{
    std::istringstream in(text);
    std::string out;
    for (std::string line; std::getline(in, line);)
        out.append(indent, ' ').append(visible(line, "\t")).append("\n");
    return out;
}

/// `Sums adds`: a class that is the suite's name is told once.
std::string nameOf(const rapidjson::Value& failure)
{
    const std::string suite = text(failure, "suite");
    const std::string group = text(failure, "class");
    const std::string first = group.empty() ? suite : group;
    const std::string name = text(failure, "name");
    return visible(first.empty() ? name : first + " " + name);
}

std::string placeOf(const rapidjson::Value& failure)
{
    std::string place = text(failure, "file");
    const auto line = number(failure, "line").value_or(0);
    if (!place.empty() && line > 0)
        place += ":" + std::to_string(line);
    return visible(place);
}

std::string failureText(const rapidjson::Value& failure, bool details)
{
    const std::string place = placeOf(failure);
    const auto durationMs = number(failure, "durationMs").value_or(0);
    std::string out = "  " + nameOf(failure);
    if (text(failure, "kind") == "error")
        out += ", error";
    if (!place.empty() || durationMs > 0)
    {
        out += " (" + place;
        if (durationMs > 0)
            out += (place.empty() ? "" : ", ") + durationTextMs(durationMs);
        out += ")";
    }
    out += "\n" + indented(text(failure, "message"), 4);
    if (details)
        out += indented(text(failure, "details"), 6);
    return out;
}

const rapidjson::Value& listIn(const rapidjson::Value& object, const char* key)
{
    static const rapidjson::Value none(rapidjson::kArrayType);
    const rapidjson::Value* list = member(object, key);
    return list != nullptr && list->IsArray() ? *list : none;
}

std::string stageText(const rapidjson::Value& stage, bool details)
{
    std::string out = "\n" + visible(stageTitle(stage)) + ": " + testsWords(stage);
    if (const auto durationMs = number(stage, "durationMs"))
        out += ", " + durationTextMs(*durationMs);
    out += "\n";
    for (const rapidjson::Value& failure : listIn(stage, "failures").GetArray())
        out += failureText(failure, details);
    for (const rapidjson::Value& refused : listIn(stage, "refused").GetArray())
        out += "  not read: " + visible(text(refused, "file")) + " " +
               visible(text(refused, "why")) + "\n";
    if (text(stage, "truncated") == "true")
        out += "  not all is shown: the reports have more\n";
    return out;
}

} // namespace

Exit showTests(const Session& session, const std::string& name, bool details)
{
    const Target run = findRun(session.agents, name, Use::Read);
    const Answer answer = run.client->ask({.path = "/api/runs/" + run.id + "/tests"});
    const auto results = objectOf(answer);
    if (session.json)
    {
        printDocument(session, answer.body);
        return Exit::Ok;
    }
    const auto& stages = listIn(results, "stages");
    if (stages.Empty())
    {
        writeOut("no test reports: `reports` of a stage names them\n");
        return Exit::Ok;
    }
    std::string out = testsWords(results) + "\n";
    for (const rapidjson::Value& stage : stages.GetArray())
        out += stageText(stage, details);
    writeOut(out);
    return Exit::Ok;
}

} // namespace agent::ctl
