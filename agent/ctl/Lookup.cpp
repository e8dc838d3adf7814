#include "agent/ctl/Lookup.h"

#include "agent/ctl/Failure.h"
#include "agent/ctl/Json.h"
#include "agent/ctl/Terminal.h"
#include "agent/ctl/Text.h"
#include "agent/model/Id.h"

#include <Poco/String.h>

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace agent::ctl
{

namespace
{

constexpr std::size_t minPrefix = 6; // a shorter one may soon match another id

struct Candidate
{
    Target target;
    std::string shown;
};

/// What an id may refer to, and the beginnings of the messages if no id has the prefix, or equals it.
struct Wanted
{
    bool run = false;
    bool stage = false;
    const char* noneBegins;
    const char* none;
};

constexpr Wanted aRun{.run = true, .noneBegins = "no run begins", .none = "no run has"};
constexpr Wanted aStage{
    .stage = true, .noneBegins = "no stage of the newest 100 runs begins", .none = "no stage has"};
constexpr Wanted either{.run = true,
                        .stage = true,
                        .noneBegins = "no run, and no stage of the newest 100 runs, begins",
                        .none = "no run and no stage has"};

/// Returns the name in lower case. Errors: Failure Usage if it can't be the prefix of a UUID.
std::string prefixOf(const std::string& name)
{
    std::string prefix = Poco::toLower(name);
    const bool fits = prefix.size() >= minPrefix && prefix.size() < 36 &&
                      prefix.find_first_not_of("0123456789abcdef-") == std::string::npos;
    if (!fits)
        throw Failure(Exit::Usage,
                      "'" + visible(name) +
                          "' is not an id: give a UUID, or its first 6 or more characters");
    return prefix;
}

bool begins(const std::string& id, const std::string& prefix)
{
    return id.rfind(prefix, 0) == 0;
}

/// Adds all runs with the prefix, from all pages: the prefix may match a run on any of them.
void addRuns(const Client& client, const std::string& prefix, std::vector<Candidate>& found)
{
    std::string before;
    while (true)
    {
        const Answer page = client.ask({.path = "/api/runs?limit=1000" + before});
        const auto runs = listOf(page);
        std::string last;
        for (const rapidjson::Value& run : runs.GetArray())
        {
            const std::string id = last = text(run, "id");
            if (begins(id, prefix) && parseId(id))
                found.push_back({{.kind = Target::Kind::Run, .id = id},
                                 "run " + id + "  " + visible(text(run, "status")) + "  " +
                                     visible(text(run, "createdAt"))});
        }
        if (last.empty() || !page.headers.contains("link"))
            return;
        before = "&before=" + encoded(last);
    }
}

/// Adds stages of the newest runs only: each run costs a request.
void addStages(const Client& client, const std::string& prefix, std::vector<Candidate>& found)
{
    const auto runs = listOf(client.ask({.path = "/api/runs?limit=100"}));
    for (const rapidjson::Value& run : runs.GetArray())
    {
        const auto runId = parseId(text(run, "id"));
        if (!runId)
            continue;
        const auto stages = listOf(client.ask({.path = "/api/stages?runId=" + *runId}));
        for (const rapidjson::Value& stage : stages.GetArray())
        {
            const std::string id = text(stage, "id");
            if (begins(id, prefix) && parseId(id))
                found.push_back({{.kind = Target::Kind::Stage, .id = id},
                                 "stage " + id + "  " + visible(text(stage, "type")) + "  " +
                                     visible(text(stage, "status")) + "  of run " + *runId});
        }
    }
}

bool exists(const Client& client, const std::string& path)
{
    try
    {
        return client.ask({.path = path}).status == 200;
    }
    catch (const Failure& failure)
    {
        if (failure.exit() == Exit::NotFound)
            return false;
        throw;
    }
}

std::vector<Candidate> withId(const Client& client, const std::string& id, const Wanted& wanted)
{
    if (wanted.run && exists(client, "/api/runs/" + id))
        return {{{.kind = Target::Kind::Run, .id = id}, "run " + id}};
    if (wanted.stage && exists(client, "/api/stages/" + id))
        return {{{.kind = Target::Kind::Stage, .id = id}, "stage " + id}};
    return {};
}

std::vector<Candidate> withPrefix(const Client& client, const std::string& prefix,
                                  const Wanted& wanted)
{
    std::vector<Candidate> found;
    if (wanted.run)
        addRuns(client, prefix, found);
    if (wanted.stage)
        addStages(client, prefix, found);
    return found;
}

using Candidates = std::vector<Candidate>;

/// Returns the candidates of all agents, each with its agent.
Candidates merged(const Agents& agents, const Replies<Candidates>& replies)
{
    Candidates found;
    for (const auto& [agent, candidates] : replies.given)
        for (Candidate candidate : candidates)
        {
            candidate.target.client = &agent->client;
            if (agents.several())
                candidate.shown = agent->host + "  " + candidate.shown;
            found.push_back(std::move(candidate));
        }
    return found;
}

[[noreturn]] void refuseAmbiguous(const Agents& agents, const std::string& name,
                                  const Candidates& found)
{
    std::string message = visible(name) + " matches " + std::to_string(found.size()) + ":";
    for (const Candidate& candidate : found)
        message += "\n" + candidate.shown;
    throw Failure(Exit::Usage, message + (agents.several() ? "\nor choose with --agent" : ""));
}

Target find(const Agents& agents, const std::string& name, Use use, const Wanted& wanted)
{
    const auto id = parseId(name);
    if (id && !agents.several() && wanted.run != wanted.stage)
        return {.kind = wanted.run ? Target::Kind::Run : Target::Kind::Stage,
                .id = *id,
                .client = &agents.all().front().client};
    const std::string prefix = id ? "" : prefixOf(name);
    const auto replies = agents.ask(
        [&](const Client& client)
        { return id ? withId(client, *id, wanted) : withPrefix(client, prefix, wanted); });
    const Candidates found = merged(agents, replies);
    if (found.size() > 1)
        refuseAmbiguous(agents, name, found);

    const std::string silent = listed(replies.missing);
    const Exit exit = worst(replies.missing, Exit::NotFound);
    if (found.empty())
        throw Failure(exit, (id ? wanted.none + (" the id " + *id)
                                : wanted.noneBegins + (" with " + visible(name))) +
                                (silent.empty() ? "" : " on the agents that answered") +
                                (id || !wanted.stage ? "" : ": give the full id of an older one") +
                                silent);
    if (!id && !silent.empty() && use == Use::Change)
        throw Failure(exit, visible(name) + " matches " + found.front().shown +
                                "\nbut may match another on an agent that did not answer: give the "
                                "full id, or --agent" +
                                silent);
    if (!id)
        for (const Failure& failure : replies.missing)
            printError(failure.what());
    return found.front().target;
}

} // namespace

Target findRun(const Agents& agents, const std::string& name, Use use)
{
    return find(agents, name, use, aRun);
}

Target findStage(const Agents& agents, const std::string& name, Use use)
{
    return find(agents, name, use, aStage);
}

Target findRunOrStage(const Agents& agents, const std::string& name, Use use)
{
    return find(agents, name, use, either);
}

std::string findService(const Client& client, const std::string& name)
{
    if (const auto id = parseId(name))
        return *id;
    std::string names;
    const auto services = listOf(client.ask({.path = "/api/services"}));
    for (const rapidjson::Value& service : services.GetArray())
    {
        if (text(service, "name") == name)
            return text(service, "id");
        names += (names.empty() ? "" : ", ") + visible(text(service, "name"));
    }
    throw Failure(Exit::NotFound,
                  "no service is named '" + visible(name) + "'" +
                      (names.empty() ? ": no services are declared" : "; there are: " + names));
}

const Client& findAgentOf(const Agents& agents, const std::string& service)
{
    if (!agents.several())
        return agents.all().front().client;
    const auto replies = agents.ask(
        [&](const Client& client)
        {
            const auto services = listOf(client.ask({.path = "/api/services"}));
            return std::any_of(services.Begin(), services.End(),
                               [&](const rapidjson::Value& entry) {
                                   return text(entry, "name") == service ||
                                          text(entry, "id") == service;
                               });
        });
    std::vector<const Agent*> owners;
    for (const auto& [agent, has] : replies.given)
        if (has)
            owners.push_back(agent);

    const std::string silent = listed(replies.missing);
    const std::string named = "the service '" + visible(service) + "'";
    if (owners.empty())
        throw Failure(worst(replies.missing, Exit::NotFound),
                      (silent.empty() ? "no agent has " : "no agent that answered has ") + named +
                          silent);
    if (owners.size() > 1)
    {
        std::string message =
            std::to_string(owners.size()) + " agents have " + named + ": choose one with --agent";
        for (const Agent* owner : owners)
            message += "\n" + owner->host + "  " + visible(owner->client.url());
        throw Failure(Exit::Usage, message);
    }
    if (!silent.empty())
        throw Failure(worst(replies.missing, Exit::NotFound),
                      owners.front()->host + " has " + named +
                          ", but so may an agent that did not answer: choose with --agent" +
                          silent);
    return owners.front()->client;
}

} // namespace agent::ctl
