// Verbs that ask all agents and show their answers as one table.
#include "agent/ctl/Cells.h"
#include "agent/ctl/Commands.h"
#include "agent/ctl/Json.h"
#include "agent/ctl/Listing.h"
#include "agent/ctl/Lookup.h"
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
using Names = std::map<std::string, std::string>;

std::function<Answer(const Client&)> get(const std::string& path)
{
    return [path](const Client& client) { return client.ask({.path = path}); };
}

std::string firstLine(const std::string& text)
{
    return text.substr(0, text.find('\n'));
}

/// Returns names of services by id; empty on failure, since the table only shows ids then.
Names serviceNames(const Client& client)
{
    Names names;
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

/// What is needed of an agent besides its runs.
struct AgentInfo
{
    Names services;
    std::optional<Failure> noService; ///< if it lacks the requested service
};

using AgentInfos = std::map<std::string, AgentInfo>; ///< by address

/// Returns the agent's runs and fills `info`. One of several agents may lack the service.
Answer askRuns(const Session& session, const RunsQuery& query, const Client& client,
               AgentInfo& info)
{
    std::string path = "/api/runs?limit=" + std::to_string(query.limit);
    if (!query.status.empty())
        path += "&status=" + query.status;
    try
    {
        if (!query.service.empty())
            path += "&serviceId=" + encoded(findService(client, query.service));
    }
    catch (const Failure& failure)
    {
        if (!session.agents.several() || failure.exit() != Exit::NotFound)
            throw;
        info.noService = failure;
        return {.status = 200, .body = "[]"};
    }
    Answer answer = client.ask({.path = path});
    if (!session.json)
        info.services = serviceNames(client);
    return answer;
}

/// Errors: Failure NotFound, or the worst of `silent`, if no agent that answered has the service.
void requireService(const Agents& agents, const AgentInfos& known,
                    const std::vector<Failure>& silent)
{
    std::vector<Failure> lack;
    for (const Agent& agent : agents.all())
        if (const auto& none = known.at(agent.client.url()).noService)
            lack.emplace_back(none->exit(), agent.host + ": " + none->what());
    if (!lack.empty() && lack.size() + silent.size() == agents.all().size())
        throw Failure(worst(silent, Exit::NotFound),
                      "no agent has this service" + listed(lack) + listed(silent));
}

} // namespace

Exit listRuns(const Session& session, const RunsQuery& query)
{
    AgentInfos known; // complete before the threads start: they only change their own entry
    for (const Agent& agent : session.agents.all())
        known[agent.client.url()] = {};
    Listing runs(session.agents, Of::Lists,
                 [&](const Client& client)
                 { return askRuns(session, query, client, known.at(client.url())); });
    requireService(session.agents, known, runs.missing());
    runs.keepNewest(static_cast<std::size_t>(query.limit));
    if (session.json)
        return runs.end(runs.json());

    std::vector<std::string> headings{"RUN",  "STATUS", "SERVICE", "CREATED",
                                      "TIME", "COMMIT", "MESSAGE"};
    const bool waits = std::any_of(runs.entries().begin(), runs.entries().end(),
                                   [&](const Entry& entry)
                                   { return !waitsCell(session.terminal, *entry.value).empty(); });
    if (waits)
        headings.emplace_back("WAITS FOR");
    Table table(runs.headings(headings));
    for (const Entry& entry : runs.entries())
    {
        const rapidjson::Value& run = *entry.value;
        const Names& names = known.at(entry.agent->client.url()).services;
        const std::string serviceId = text(run, "serviceId");
        const auto name = names.find(serviceId);
        std::vector<std::string> cells{idCell(session.terminal, text(run, "id")),
                                       text(run, "status"),
                                       name == names.end() ? idCell(session.terminal, serviceId)
                                                           : name->second,
                                       timeCell(run, "createdAt"),
                                       tookCell(run),
                                       text(run, "commitHash").substr(0, 10),
                                       firstLine(text(run, "commitMessage"))};
        if (waits)
            cells.push_back(waitsCell(session.terminal, run));
        table.add(runs.row(entry, std::move(cells)));
    }
    return runs.end(table.render(session.terminal));
}

namespace
{

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
        return services.end(services.json());
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
        table.add(services.row(
            entry, {text(service, "name"), idCell(session.terminal, text(service, "id")),
                    text(service, "branch"), counted ? std::to_string(stages->Size()) : "",
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
        return agents.end(agents.json());
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
        return agents.end(agents.json());
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
    const Exit exit = agents.end(session.json ? agents.json() : shown);
    return allReady ? exit : std::max(exit, Exit::AgentFailed);
}

} // namespace agent::ctl
