#include "agent/ctl/Commands.h"

#include "agent/ctl/Json.h"
#include "agent/ctl/Lookup.h"
#include "agent/ctl/Table.h"
#include "agent/ctl/Text.h"
#include "agent/model/Timestamp.h"

#include <algorithm>
#include <map>
#include <utility>

namespace agent::ctl
{

namespace
{

/// Ids are cut on a terminal, where a person reads; in a pipe they stay whole.
std::string idCell(const Session& session, const std::string& id)
{
    return session.terminal.interactive ? id.substr(0, 8) : id;
}

std::string timeCell(const rapidjson::Value& object, const char* key)
{
    const std::string written = text(object, key);
    const auto time = parseTime(written);
    return time ? localTime(*time, nowMs()) : written;
}

std::string tookCell(const rapidjson::Value& object)
{
    if (const auto seconds = number(object, "duration"))
        return durationText(*seconds);
    const auto started = parseTime(text(object, "startedAt"));
    if (text(object, "status") != "IN_PROGRESS" || !started)
        return "";
    return durationText((nowMs() - *started) / 1000);
}

std::string firstLine(const std::string& text)
{
    return text.substr(0, text.find('\n'));
}

/// Service ids with their names. The table is as good without them: no failure.
std::map<std::string, std::string> serviceNames(const Client& client)
{
    std::map<std::string, std::string> names;
    try
    {
        const auto services = listOf(client.ask({.path = "/api/services"}));
        for (const rapidjson::Value& service : services.GetArray())
            names[text(service, "id")] = text(service, "name");
    }
    catch (const Failure&)
    {
        names.clear();
    }
    return names;
}

bool endsWith(const std::string& text, std::string_view end)
{
    return text.size() >= end.size() &&
           text.compare(text.size() - end.size(), end.size(), end) == 0;
}

/// A member's value for a person; the key's ending tells its unit.
std::string readable(const std::string& key, const rapidjson::Value& value)
{
    std::string plain = asText(value);
    if (value.IsString() && (endsWith(key, "At") || endsWith(key, "Since")))
    {
        const auto time = parseTime(plain);
        return time ? localTime(*time, nowMs()) + "  (" + plain + ")" : plain;
    }
    if (!value.IsInt64())
        return plain;
    if (key == "duration")
        return durationText(value.GetInt64());
    if (endsWith(key, "Ms"))
        return durationTextMs(value.GetInt64());
    if (endsWith(key, "Bytes"))
        return bytesText(value.GetInt64());
    return plain;
}

/// One line a member, `key  value`; the members of an object inside as `key.member`, one level deep.
std::string described(const Session& session, const rapidjson::Value& object)
{
    std::vector<std::pair<std::string, std::string>> lines;
    for (const auto& entry : object.GetObject())
    {
        const std::string key = asText(entry.name);
        if (entry.value.IsObject())
            for (const auto& inner : entry.value.GetObject())
            {
                const std::string name = asText(inner.name);
                lines.emplace_back(std::string(key).append(".").append(name),
                                   readable(name, inner.value));
            }
        else
            lines.emplace_back(key, readable(key, entry.value));
    }
    std::size_t width = 0;
    for (auto& [key, value] : lines)
    {
        key = visible(key);
        value = visible(value);
        width = std::max(width, displayWidth(key));
    }
    std::string out;
    for (const auto& [key, value] : lines)
    {
        const bool status = key == "status";
        out += key + (value.empty() ? "" : std::string(width + 2 - displayWidth(key), ' ')) +
               (status ? coloured(session.terminal, value, value) : value) + "\n";
    }
    return out;
}

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
            cells.insert(cells.begin(), idCell(session, stage));
        table.add(cells);
    }
}

Exit showRunHistory(const Session& session, const std::string& run)
{
    const auto stages = listOf(session.client.ask({.path = "/api/stages?runId=" + run}));
    Table table({"STAGE", "AT", "FROM", "TO", "CAUSE", "ATTEMPT", "ACTOR", "REASON"});
    ObjectWriter all;
    for (const rapidjson::Value& stage : stages.GetArray())
    {
        const std::string id = text(stage, "id");
        const Answer answer =
            session.client.ask({.path = "/api/stages/" + encoded(id) + "/history"});
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

Exit listRuns(const Session& session, const RunsQuery& query)
{
    std::string path = "/api/runs?limit=" + std::to_string(query.limit);
    if (!query.status.empty())
        path += "&status=" + query.status;
    if (!query.service.empty())
        path += "&serviceId=" + encoded(findService(session.client, query.service));
    const Answer answer = session.client.ask({.path = path});
    const auto runs = listOf(answer);
    if (session.json)
    {
        printJson(answer.body);
        return Exit::Ok;
    }
    const auto names = serviceNames(session.client);
    Table table({"RUN", "STATUS", "SERVICE", "CREATED", "TIME", "COMMIT", "MESSAGE"});
    for (const rapidjson::Value& run : runs.GetArray())
    {
        const std::string serviceId = text(run, "serviceId");
        const auto name = names.find(serviceId);
        table.add({idCell(session, text(run, "id")), text(run, "status"),
                   name == names.end() ? idCell(session, serviceId) : name->second,
                   timeCell(run, "createdAt"), tookCell(run), text(run, "commitHash").substr(0, 10),
                   firstLine(text(run, "commitMessage"))});
    }
    writeOut(table.render(session.terminal));
    return Exit::Ok;
}

Exit listStages(const Session& session, const std::string& run)
{
    const std::string id = findRun(session.client, run);
    const Answer answer = session.client.ask({.path = "/api/stages?runId=" + id});
    const auto stages = listOf(answer);
    // An unknown run has no stages, says the API; a person wants to know that it is unknown.
    if (stages.Empty())
        static_cast<void>(session.client.ask({.path = "/api/runs/" + id}));
    if (session.json)
    {
        printJson(answer.body);
        return Exit::Ok;
    }
    Table table({"STAGE", "STATUS", "STARTED", "ENDED", "TIME", "TYPE"});
    for (const rapidjson::Value& stage : stages.GetArray())
        table.add({idCell(session, text(stage, "id")), text(stage, "status"),
                   timeCell(stage, "startedAt"), timeCell(stage, "endedAt"), tookCell(stage),
                   text(stage, "type")});
    writeOut(table.render(session.terminal));
    return Exit::Ok;
}

Exit showStage(const Session& session, const std::string& stage)
{
    const std::string id = findStage(session.client, stage);
    const Answer answer = session.client.ask({.path = "/api/stages/" + id});
    const auto detail = objectOf(answer);
    if (session.json)
        printJson(answer.body);
    else
        writeOut(described(session, detail));
    return Exit::Ok;
}

Exit showHistory(const Session& session, const std::string& stageOrRun)
{
    const Target target = findRunOrStage(session.client, stageOrRun);
    if (target.kind == Target::Kind::Run)
        return showRunHistory(session, target.id);
    const Answer answer = session.client.ask({.path = "/api/stages/" + target.id + "/history"});
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

Exit listServices(const Session& session)
{
    const Answer answer = session.client.ask({.path = "/api/services"});
    const auto services = listOf(answer);
    if (session.json)
    {
        printJson(answer.body);
        return Exit::Ok;
    }
    Table table({"SERVICE", "ID", "BRANCH", "STAGES", "REPOSITORY"});
    for (const rapidjson::Value& service : services.GetArray())
    {
        const rapidjson::Value* stages = member(service, "stages");
        const bool counted = stages != nullptr && stages->IsArray();
        table.add({text(service, "name"), idCell(session, text(service, "id")),
                   text(service, "branch"), counted ? std::to_string(stages->Size()) : "",
                   text(service, "repository")});
    }
    writeOut(table.render(session.terminal));
    return Exit::Ok;
}

Exit listPlugins(const Session& session)
{
    const Answer answer = session.client.ask({.path = "/api/agent"});
    const auto agent = objectOf(answer);
    if (session.json)
    {
        printJson(answer.body);
        return Exit::Ok;
    }
    Table table({"PLUGIN", "VERSION", "SHA256", "DESCRIPTION"});
    if (const rapidjson::Value* plugins = member(agent, "plugins");
        plugins != nullptr && plugins->IsArray())
        for (const rapidjson::Value& plugin : plugins->GetArray())
        {
            const std::string digest = text(plugin, "sha256");
            table.add({plugin.IsString() ? asText(plugin) : text(plugin, "name"),
                       text(plugin, "version"),
                       session.terminal.interactive ? digest.substr(0, 12) : digest,
                       text(plugin, "description")});
        }
    writeOut(table.render(session.terminal));
    return Exit::Ok;
}

Exit showAgent(const Session& session)
{
    const Answer answer = session.client.ask({.path = "/api/agent"});
    const auto agent = objectOf(answer);
    if (session.json)
        printJson(answer.body);
    else
        writeOut(described(session, agent));
    return Exit::Ok;
}

Exit showHealth(const Session& session)
{
    const Answer answer = session.client.send({.path = "/readyz"});
    const bool ready = answer.status == 200;
    if (!ready && answer.status != 503)
        refuse(answer);
    rapidjson::Document document;
    const bool isJson = parseJson(answer.body, document);
    if (!isJson && answer.contentType.rfind("text/plain", 0) != 0)
        refuse(answer);

    if (session.json && isJson)
        printJson(answer.body);
    else if (session.json)
        printJson(ObjectWriter()
                      .addJson("ready", ready ? "true" : "false")
                      .add("text", answer.body)
                      .done());
    else if (isJson && document.IsObject())
        writeOut(described(session, document));
    else
    {
        std::string out;
        for (std::size_t pos = 0; pos < answer.body.size();)
        {
            const std::size_t end = std::min(answer.body.find('\n', pos), answer.body.size());
            out += visible(answer.body.substr(pos, end - pos)) + "\n";
            pos = end + 1;
        }
        writeOut(out);
    }
    return ready ? Exit::Ok : Exit::AgentFailed;
}

} // namespace agent::ctl
