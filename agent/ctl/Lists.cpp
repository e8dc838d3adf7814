// Verbs that ask all agents and show their answers as one table.
#include "agent/ctl/Cells.h"
#include "agent/ctl/Commands.h"
#include "agent/ctl/Json.h"
#include "agent/ctl/Listing.h"
#include "agent/ctl/Table.h"
#include "agent/ctl/Text.h"

#include <algorithm>
#include <map>
#include <sstream>

namespace agent::ctl
{

namespace
{

using Of = Listing::Of;

std::function<Answer(const Client&)> get(const std::string& path)
{
    return [path](const Client& client) { return client.ask({.path = path}); };
}

/// What is wrong with the services of each agent, by their names.
using BrokenServices = std::map<const Agent*, std::map<std::string, std::string>>;

BrokenServices brokenServices(const Listing& agents)
{
    BrokenServices broken;
    for (const Entry& entry : agents.entries())
        if (const rapidjson::Value* files = member(*entry.value, "brokenServices");
            files != nullptr && files->IsArray())
            for (const rapidjson::Value& file : files->GetArray())
                broken[entry.agent][text(file, "name")] = text(file, "problem");
    return broken;
}

/// Returns what is wrong with a service that is in use all the same, and takes it out.
std::string problemOf(BrokenServices& broken, const Entry& entry, const std::string& name)
{
    const auto agent = broken.find(entry.agent);
    if (agent == broken.end())
        return "";
    const auto found = agent->second.extract(name);
    return found.empty() ? "" : found.mapped();
}

} // namespace

Exit listServices(const Session& session)
{
    const Listing services(session.agents, Of::Lists, get("/api/services"));
    if (session.json)
        return services.end(session.document(services.json()));
    const Listing agents(session.agents, Of::Objects, get("/api/agent"));
    BrokenServices broken = brokenServices(agents);
    std::vector<std::string> names{"SERVICE", "ID", "BRANCH", "STAGES", "REPOSITORY"};
    if (!broken.empty())
        names.emplace_back("PROBLEM");
    Table table(services.headings(names));
    for (const Entry& entry : services.entries())
    {
        const rapidjson::Value& service = *entry.value;
        const rapidjson::Value* stages = member(service, "stages");
        const bool counted = stages != nullptr && stages->IsArray();
        const std::string file = text(service, "pipelineFile"); // it has the stages
        table.add(services.row(
            entry, {text(service, "name"), idCell(session.terminal, text(service, "id")),
                    text(service, "branch"),
                    !file.empty() ? file
                    : counted     ? std::to_string(stages->Size())
                                  : "",
                    text(service, "repository"), problemOf(broken, entry, text(service, "name"))}));
    }
    for (const Entry& entry : agents.entries())
        for (const auto& [name, problem] : broken[entry.agent])
            table.add(agents.row(entry, {name, "", "", "", "", problem}));
    return services.end(table.render(session.terminal));
}

Exit listPlugins(const Session& session)
{
    const Listing agents(session.agents, Of::Objects, get("/api/agent"));
    if (session.json)
        return agents.end(session.document(agents.json()));
    Table table(agents.headings({"PLUGIN", "VERSION", "SHA256", "DESCRIPTION"}));
    for (const Entry& entry : agents.entries())
    {
        const rapidjson::Value* plugins = member(*entry.value, "plugins");
        if (plugins == nullptr || !plugins->IsArray())
            continue;
        for (const rapidjson::Value& plugin : plugins->GetArray())
        {
            const std::string digest = text(plugin, "sha256");
            table.add(
                agents.row(entry, {plugin.IsString() ? asText(plugin) : text(plugin, "name"),
                                   text(plugin, "version"),
                                   session.terminal.interactive ? digest.substr(0, 12) : digest,
                                   text(plugin, "description")}));
        }
    }
    return agents.end(table.render(session.terminal));
}

Exit showAgent(const Session& session)
{
    const Listing agents(session.agents, Of::Objects, get("/api/agent"));
    if (session.json)
        return agents.end(session.document(agents.json()));
    if (!session.agents.several())
        return agents.end(described(session.terminal, *agents.entries().front().value));
    Table table(
        agents.headings({"VERSION", "SLOTS", "RUNNING", "SET ASIDE", "QUEUE", "DRAINING", "FREE"}));
    for (const Entry& entry : agents.entries())
    {
        const rapidjson::Value& agent = *entry.value;
        const auto free = number(agent, "freeBytes");
        table.add(
            agents.row(entry, {text(agent, "version"), text(agent, "slots"), text(agent, "running"),
                               text(agent, "setAside"), text(agent, "queueLength"),
                               text(agent, "draining"), free ? bytesText(*free) : ""}));
    }
    return agents.end(table.render(session.terminal));
}

Exit showHealth(const Session& session)
{
    // An object with its lines, so that --json can list several. Other than text/plain is not an agent.
    const auto readiness = [](const Client& client)
    {
        Answer answer = client.send({.path = "/readyz"});
        const bool ready = answer.status == 200;
        if ((!ready && answer.status != 503) || answer.contentType.rfind("text/plain", 0) != 0)
            refuse(answer);
        answer.body = ObjectWriter()
                          .addJson("ready", ready ? "true" : "false")
                          .add("text", answer.body)
                          .done();
        return answer;
    };
    const Listing agents(session.agents, Of::Objects, readiness);
    const bool allReady =
        std::all_of(agents.entries().begin(), agents.entries().end(),
                    [](const Entry& entry) { return text(*entry.value, "ready") == "true"; });
    std::string lines;
    Table table(agents.headings({"READY", "DETAIL"}));
    for (const Entry& entry : agents.entries())
    {
        std::string detail;
        std::istringstream facts(text(*entry.value, "text"));
        for (std::string fact; std::getline(facts, fact);)
        {
            lines += visible(fact) + "\n";
            const bool last = facts.peek() == std::istringstream::traits_type::eof();
            if (!last) // the last one is `ready` or `not ready`
                detail += (detail.empty() ? "" : "; ") + fact;
        }
        table.add(
            agents.row(entry, {text(*entry.value, "ready") == "true" ? "yes" : "no", detail}));
    }
    const std::string shown = session.agents.several() ? table.render(session.terminal) : lines;
    const Exit exit = agents.end(session.json ? session.document(agents.json()) : shown);
    return allReady ? exit : std::max(exit, Exit::AgentFailed);
}

} // namespace agent::ctl
