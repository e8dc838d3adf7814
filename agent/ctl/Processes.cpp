// `stagectl ps`: what runs in a stage right now, whether it is stuck or not.
#include "agent/ctl/Cells.h"
#include "agent/ctl/Commands.h"
#include "agent/ctl/Json.h"
#include "agent/ctl/Lookup.h"
#include "agent/ctl/ProcessTable.h"
#include "agent/ctl/StageWords.h"
#include "agent/ctl/Table.h"
#include "agent/ctl/Text.h"

#include <algorithm>
#include <sstream>
#include <vector>

namespace agent::ctl
{

namespace
{

/// Returns a process's state letter as in ps, with a word.
std::string stateInWords(const std::string& letter)
{
    if (letter == "R")
        return "R (runs)";
    if (letter == "S")
        return "S (waits)";
    if (letter == "D")
        return "D (kernel)";
    if (letter == "T" || letter == "t")
        return letter + " (stopped)";
    if (letter == "Z")
        return "Z (zombie)";
    return letter;
}

/// Returns an argument as a shell would take it.
std::string shellWord(const std::string& word)
{
    const bool plain =
        !word.empty() && word.find_first_of(" \t\n'\"\\$`|&;<>()*?[]{}~#!") == std::string::npos;
    if (plain)
        return word;
    std::string quoted = "'";
    for (const char c : word)
        quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return quoted + "'";
}

std::string commandCell(const rapidjson::Value& process)
{
    std::string line;
    if (const rapidjson::Value* arguments = member(process, "arguments");
        arguments != nullptr && arguments->IsArray())
        for (const rapidjson::Value& argument : arguments->GetArray())
            line += (line.empty() ? "" : " ") + shellWord(asText(argument));
    return line.empty() ? "[" + text(process, "command") + "]" : line; // a zombie has no arguments
}

/// Returns `waits for a lock of /tmp/x, held by 4711 (flock)  [locks_lock_inode_wait]` in lines of at most `width`
/// columns; nothing for a process that runs. `width` 0: no limit.
std::vector<std::string> waitLines(const rapidjson::Value& process, std::size_t width)
{
    const std::string kernel = visible(text(process, "waitsIn"));
    const rapidjson::Value* wait = member(process, "waitsFor");
    const std::string words =
        wait == nullptr || wait->IsNull() ? "" : visible(text(*wait, "words"));
    if (words.empty() && kernel.empty())
        return {};
    const std::string line = "waits for " + (words.empty() ? "the kernel" : words);
    const std::string name = kernel.empty() ? "" : "[" + kernel + "]";
    const std::string both = line + (name.empty() ? "" : "  " + name);
    if (width == 0 || displayWidth(both) <= width)
        return {both};
    return {clip(line, width), clip(name, width)};
}

} // namespace

std::string processTable(const Terminal& terminal, const rapidjson::Value& processes,
                         std::size_t indent)
{
    Table table({"PID", "STATE", "CPU", "AGE", "COMMAND"});
    for (const rapidjson::Value& process : processes.GetArray())
        table.add({text(process, "pid"), stateInWords(text(process, "state")),
                   durationTextMs(number(process, "cpuMs").value_or(0)),
                   durationText(number(process, "ageMs").value_or(0) / 1000),
                   commandCell(process)});
    Terminal inside = terminal;
    inside.width -= std::min(inside.width, indent);
    std::istringstream lines(table.render(inside));
    const std::string blanks(indent, ' ');
    std::string line;
    std::getline(lines, line);
    std::string out = blanks + line + "\n";
    for (const rapidjson::Value& process : processes.GetArray())
    {
        std::getline(lines, line);
        out.append(blanks).append(line).append("\n");
        for (const std::string& wait :
             waitLines(process, inside.width - std::min<std::size_t>(inside.width, 2)))
            out.append(blanks).append("  ").append(wait).append("\n");
    }
    return out;
}

Exit listProcesses(const Session& session, const std::string& name)
{
    const Target stage = findStage(session.agents, name, Use::Read);
    const Answer answer = stage.client->ask({.path = "/api/stages/" + stage.id + "/processes"});
    const auto processes = listOf(answer);
    if (session.json)
    {
        printDocument(session, answer.body);
        return Exit::Ok;
    }
    if (session.terminal.names)
    {
        for (const rapidjson::Value& process : processes.GetArray())
            writeOut(text(process, "pid") + "\n");
        return Exit::Ok;
    }
    const auto detail = objectOf(stage.client->ask({.path = "/api/stages/" + stage.id}));
    const std::string status = stageStatus(detail, false);
    const std::string why = stageWhy(detail);
    writeOut(visible(stageTitle(detail)) + " " + idCell(session.terminal, stage.id) + "  " +
             statusCell(session.terminal, status) + "  " + tookCell(detail) +
             (why.empty() ? "" : "  " + visible(why)) + "\n");
    writeOut(processes.Empty() ? "no processes\n" : processTable(session.terminal, processes, 0));
    return Exit::Ok;
}

} // namespace agent::ctl
