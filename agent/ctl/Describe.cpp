// `stagectl describe`: all that a person asks of one run or stage, with words for labels.
#include "agent/ctl/Cells.h"
#include "agent/ctl/Commands.h"
#include "agent/ctl/Json.h"
#include "agent/ctl/LogFilter.h"
#include "agent/ctl/LogTail.h"
#include "agent/ctl/Lookup.h"
#include "agent/ctl/ProcessTable.h"
#include "agent/ctl/StageWords.h"
#include "agent/ctl/Table.h"
#include "agent/ctl/Text.h"

#include <algorithm>
#include <sstream>
#include <utility>
#include <vector>

namespace agent::ctl
{

namespace
{

constexpr std::size_t lastLines = 10;
constexpr std::size_t indent = 2;
constexpr std::size_t shownCommit = 12;

/// Lines `label  value`, aligned; empty values are left out.
class Facts
{
public:
    void add(const std::string& label, const std::string& value)
    {
        if (value.empty())
            return;
        _lines.emplace_back(label, value);
        _width = std::max(_width, label.size());
    }

    [[nodiscard]] std::string render() const
    {
        std::string out;
        for (const auto& [label, value] : _lines)
            out.append(label).append(_width + 2 - label.size(), ' ').append(value).append("\n");
        return out;
    }

private:
    std::vector<std::pair<std::string, std::string>> _lines;
    std::size_t _width = 0;
};

std::string shown(const rapidjson::Value& object, const char* key)
{
    return visible(text(object, key));
}

/// Returns `12:03:04 (4m ago)`.
std::string when(const rapidjson::Value& object, const char* key)
{
    const auto time = parseTime(text(object, key));
    return time ? timeCell(object, key) + " (" + agoText(nowMs() - *time) + ")" : "";
}

std::string firstLine(const std::string& text)
{
    return text.substr(0, text.find('\n'));
}

std::string indented(const std::string& lines)
{
    std::istringstream in(lines);
    std::string out;
    for (std::string line; std::getline(in, line);)
        out.append(indent, ' ').append(line).append("\n");
    return out;
}

/// `LOG_LIMIT,LEFT_BEHIND` in words.
std::string noteWords(const std::string& notes)
{
    std::istringstream in(notes);
    std::string words;
    for (std::string note; std::getline(in, note, ',');)
        words += (words.empty() ? "" : "; ") + visible(causeWords(note));
    return words;
}

/// `team:pay, ticket:4711`
std::string labelWords(const rapidjson::Value& labels)
{
    std::string words;
    if (labels.IsObject())
        for (const auto& label : labels.GetObject())
            words += (words.empty() ? "" : ", ") + asText(label.name) + ":" + asText(label.value);
    return words;
}

/// What a run or a stage left, and what its tests say.
void addResults(Facts& facts, const rapidjson::Value& runOrStage)
{
    if (const auto* tests = member(runOrStage, "tests"); tests != nullptr && tests->IsObject())
        facts.add("Tests", testsWords(*tests));
    if (const auto* kept = member(runOrStage, "artifacts"); kept != nullptr && kept->IsObject())
    {
        const auto files = number(*kept, "files").value_or(0);
        facts.add("Artifacts", std::to_string(files) + (files == 1 ? " file, " : " files, ") +
                                   bytesText(number(*kept, "bytes").value_or(0)));
    }
}

/// What a stage was given of other services.
void addNeeds(Facts& facts, const rapidjson::Value& stage)
{
    const auto* needs = member(stage, "needs");
    if (needs == nullptr || !needs->IsArray())
        return;
    for (const auto& set : needs->GetArray())
    {
        const std::string branch = text(set, "branch");
        const std::string commit = text(set, "commitHash").substr(0, shownCommit);
        facts.add("Was given",
                  visible(text(set, "artifacts") + " of " + text(set, "service") +
                          (branch.empty() ? "" : " (" + branch + ")") + " in " + text(set, "to") +
                          ": " + text(set, "files") + " files, " +
                          bytesText(number(set, "bytes").value_or(0)) + ", run " +
                          text(set, "runId") + (commit.empty() ? "" : ", commit " + commit)));
    }
}

void addRun(Facts& facts, const Terminal& terminal, const rapidjson::Value& run)
{
    const std::string pull = shown(run, "pullNumber");
    facts.add("Service", shown(run, "serviceName"));
    facts.add("Branch",
              shown(run, "branch") + (pull.empty() ? "" : " (pull request " + pull + ")"));
    facts.add("Commit", shown(run, "commitHash"));
    facts.add("Message", visible(firstLine(text(run, "commitMessage"))));
    facts.add("Committer", shown(run, "committer"));
    facts.add("Trigger", shown(run, "triggerType"));
    if (const rapidjson::Value* labels = member(run, "labels"); labels != nullptr)
        facts.add("Labels", visible(labelWords(*labels)));
    facts.add("Created", when(run, "createdAt"));
    facts.add("Started", when(run, "startedAt"));
    facts.add("Ended", when(run, "endedAt"));
    facts.add("Took", tookCell(run));
    facts.add("Waits for", visible(waitsCell(terminal, run)));
    addResults(facts, run);
    if (text(run, "kept") == "true")
        facts.add("Kept", "by hand: it does not age");
}

Exit describeRun(const Session& session, const Target& target)
{
    const Terminal& terminal = session.terminal;
    const Answer answer = target.client->ask({.path = "/api/runs/" + target.id});
    const auto run = objectOf(answer);
    if (session.json)
    {
        printDocument(session, answer.body);
        return Exit::Ok;
    }
    Facts facts;
    facts.add("Run", target.id);
    facts.add("Status", statusCell(terminal, runStatus(run)));
    addRun(facts, terminal, run);
    writeOut(facts.render() + "\n");
    return listStages(session, target.id);
}

std::string limitText(const rapidjson::Value& definition, const char* key)
{
    const auto value = number(definition, key);
    return !value ? "" : *value == 0 ? "none" : durationText((*value + 999) / 1000);
}

void addDefinition(Facts& facts, const rapidjson::Value& definition)
{
    const std::string workspace = shown(definition, "workspace");
    const std::string mode = shown(definition, "workspaceMode");
    facts.add("Workspace", workspace.empty() || mode.empty() || mode == "fresh"
                               ? workspace
                               : workspace + " (" + mode + ")");
    facts.add("Time limit", limitText(definition, "timeoutMs"));
    facts.add("Grace", limitText(definition, "graceMs"));
    const rapidjson::Value* environment = member(definition, "environment");
    if (environment != nullptr && environment->IsArray() && !environment->Empty())
        facts.add("Environment", visible(asText(*environment)));
    const rapidjson::Value* secrets = member(definition, "secrets");
    if (secrets != nullptr && secrets->IsArray() && !secrets->Empty())
        facts.add("Secrets", visible(asText(*secrets)));
    const rapidjson::Value* withheld = member(definition, "secretsWithheld");
    if (withheld != nullptr && withheld->IsObject())
        for (const auto& [name, why] : withheld->GetObject())
            facts.add("Withheld", visible(asText(name) + ": " + asText(why)));
}

/// Returns the settings of its plugin: those of one line beside their names, the command below.
std::string settings(const rapidjson::Value& definition)
{
    const rapidjson::Value* with = member(definition, "with");
    if (with == nullptr || !with->IsObject())
        return "";
    std::string out;
    for (const auto& entry : with->GetObject())
    {
        std::string value;
        std::istringstream lines(asText(entry.value));
        for (std::string line; std::getline(lines, line);)
            value += visible(line) + "\n";
        out += "\n" + visible(asText(entry.name)) + ":\n" + indented(value);
    }
    return out;
}

std::string endOfLog(const Client& client, const std::string& stage, const Terminal& terminal)
{
    LogFilter filter(terminal.colours ? LogFilter::Colours::Keep : LogFilter::Colours::Drop,
                     LogFilter::Returns::Keep);
    LineFold fold;
    std::string out;
    LogTail tail(client, {.stageId = stage});
    tail.readLast(lastLines,
                  [&](std::string_view bytes) { out += fold.add(filter.filter(bytes)); });
    out += fold.add(filter.finish()) + fold.finish();
    return out.empty() ? "" : "\nlast lines of its log:\n" + indented(out);
}

Exit describeStage(const Session& session, const Target& target)
{
    const Terminal& terminal = session.terminal;
    const Client& client = *target.client;
    const Answer answer = client.ask({.path = "/api/stages/" + target.id});
    const auto stage = objectOf(answer);
    if (session.json)
    {
        printDocument(session, answer.body);
        return Exit::Ok;
    }
    const std::string runId = text(stage, "runId");
    const auto run = objectOf(client.ask({.path = "/api/runs/" + encoded(runId)}));
    const rapidjson::Value* definition = member(stage, "definition");
    const bool defined = definition != nullptr && definition->IsObject();
    const std::string title = stageTitle(stage);
    const auto most = defined ? number(*definition, "attempts").value_or(1) : 1;
    Facts facts;
    facts.add("Stage", target.id);
    facts.add("Name", visible(title));
    facts.add("Type", title == text(stage, "type") ? "" : shown(stage, "type"));
    facts.add("Status", statusCell(terminal, stageStatus(stage, !text(run, "endedAt").empty())));
    facts.add("Why", visible(stageWhy(stage)));
    facts.add("Run", visible(runId));
    facts.add("Service", shown(run, "serviceName"));
    facts.add("Branch", shown(run, "branch"));
    facts.add("Commit", shown(run, "commitHash"));
    facts.add("Waits for", visible(waitsCell(terminal, run)));
    facts.add("Attempt", shown(stage, "attempt") + " of " +
                             std::to_string(std::max(most, number(stage, "attempt").value_or(1))));
    facts.add("Started", when(stage, "startedAt"));
    facts.add("Ended", when(stage, "endedAt"));
    facts.add("Took", tookCell(stage));
    facts.add("Plugin", shown(stage, "plugin"));
    facts.add("Isolation", shown(stage, "isolation"));
    facts.add("Notes", noteWords(text(stage, "notes")));
    addResults(facts, stage);
    addNeeds(facts, stage);
    if (defined)
        addDefinition(facts, *definition);
    writeOut(facts.render() + (defined ? settings(*definition) : ""));
    const auto processes = listOf(client.ask({.path = "/api/stages/" + target.id + "/processes"}));
    if (!processes.Empty())
        writeOut("\nprocesses:\n" + processTable(terminal, processes, indent));
    if (number(stage, "attempt").value_or(0) > 0)
        writeOut(endOfLog(client, target.id, terminal));
    return Exit::Ok;
}

} // namespace

Exit describe(const Session& session, const std::string& runOrStage)
{
    const Target target = findRunOrStage(session.agents, runOrStage, Use::Read);
    return target.kind == Target::Kind::Run ? describeRun(session, target)
                                            : describeStage(session, target);
}

} // namespace agent::ctl
