#include "agent/ctl/Lookup.h"

#include "agent/ctl/Failure.h"
#include "agent/ctl/Json.h"
#include "agent/ctl/StageChoice.h"
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
    std::string createdAt = {}; ///< of a service's newest run
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
constexpr Wanted either{.run = true,
                        .stage = true,
                        .noneBegins = "no run, and no stage of the newest 100 runs, begins",
                        .none = "no run and no stage has"};

/// Returns the name in lower case; nothing if it can't be the prefix of a UUID.
std::optional<std::string> prefixOf(const std::string& name)
{
    const std::string prefix = Poco::toLower(name);
    const bool fits = prefix.size() >= minPrefix && prefix.size() < 36 &&
                      prefix.find_first_not_of("0123456789abcdef-") == std::string::npos;
    return fits ? std::optional(prefix) : std::nullopt;
}

bool begins(const std::string& id, const std::string& prefix)
{
    return id.rfind(prefix, 0) == 0;
}

/// Returns the newest run of the service of that name; none where there is no such service, or no run of it.
std::vector<Candidate> newestOf(const Client& client, const std::string& name)
{
    const auto services = listOf(client.ask({.path = "/api/services"}));
    const bool known =
        std::any_of(services.Begin(), services.End(),
                    [&](const rapidjson::Value& service) { return text(service, "name") == name; });
    if (!known)
        return {};
    const auto runs = listOf(client.ask({.path = "/api/runs?limit=1&serviceId=" + encoded(name)}));
    std::vector<Candidate> found;
    for (const rapidjson::Value& run : runs.GetArray())
        if (const auto id = parseId(text(run, "id")))
            found.push_back({{.kind = Target::Kind::Run, .id = *id},
                             "run " + *id + "  " + visible(text(run, "status")) + "  " +
                                 visible(text(run, "createdAt")),
                             text(run, "createdAt")});
    if (found.empty() && !prefixOf(name))
        throw Failure(Exit::NotFound, "the service '" + visible(name) + "' has no run yet");
    return found;
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

/// Errors: as find(), for what nobody has.
[[noreturn]] void refuseUnknown(const std::string& name, const std::optional<std::string>& id,
                                const Wanted& wanted, const std::vector<Failure>& missing)
{
    const std::string silent = listed(missing);
    if (!id && !prefixOf(name))
        throw Failure(worst(missing, Exit::Usage),
                      "'" + visible(name) +
                          "' is neither an id (a UUID, or its first 6 or more characters) nor a "
                          "service that has a run" +
                          silent);
    throw Failure(
        worst(missing, Exit::NotFound),
        (id ? wanted.none + (" the id " + *id) : wanted.noneBegins + (" with " + visible(name))) +
            (silent.empty() ? "" : " on the agents that answered") +
            (id || !wanted.stage ? "" : ": give the full id of an older one") + silent);
}

/// Returns what the text means on all agents: a service's newest run, or what has the id or prefix.
Replies<Candidates> candidatesFor(const Agents& agents, const std::string& name,
                                  const Wanted& wanted)
{
    const auto id = parseId(name);
    return agents.ask(
        [&](const Client& client)
        {
            if (id)
                return withId(client, *id, wanted);
            auto found = newestOf(client, name);
            if (const auto prefix = prefixOf(name); found.empty() && prefix)
                found = withPrefix(client, *prefix, wanted);
            return found;
        });
}

Target find(const Agents& agents, const std::string& name, Use use, const Wanted& wanted)
{
    const auto id = parseId(name);
    if (id && !agents.several() && wanted.run != wanted.stage)
        return {.kind = wanted.run ? Target::Kind::Run : Target::Kind::Stage,
                .id = *id,
                .client = &agents.all().front().client};
    const auto replies = candidatesFor(agents, name, wanted);
    Candidates found = merged(agents, replies);
    // Whoever reads means the newest of all agents; a change needs a choice.
    if (found.size() > 1 && use == Use::Read &&
        std::all_of(found.begin(), found.end(),
                    [](const Candidate& each) { return !each.createdAt.empty(); }))
        found = {*std::max_element(found.begin(), found.end(),
                                   [](const Candidate& a, const Candidate& b)
                                   { return a.createdAt < b.createdAt; })};
    if (found.size() > 1)
        refuseAmbiguous(agents, name, found);
    if (found.empty())
        refuseUnknown(name, id, wanted, replies.missing);
    const std::string silent = listed(replies.missing);
    if (!id && !silent.empty() && use == Use::Change)
        throw Failure(worst(replies.missing, Exit::NotFound),
                      visible(name) + " matches " + found.front().shown +
                          "\nbut may match another on an agent that did not answer: give the "
                          "full id, or --agent" +
                          silent);
    if (!id)
        for (const Failure& failure : replies.missing)
            printError(failure.what());
    return found.front().target;
}

/// Returns the stage that is meant by a run, or by a part of it.
Target stageOfRun(const Target& run, const std::string& part, Use use)
{
    return {.kind = Target::Kind::Stage,
            .id = stageOf(*run.client, run.id, part,
                          use == Use::Read ? Choose::ToRead : Choose::ToChange),
            .client = run.client};
}

} // namespace

Target findRun(const Agents& agents, const std::string& name, Use use)
{
    return find(agents, name, use, aRun);
}

Target findStage(const Agents& agents, const std::string& name, Use use)
{
    const Target found = findRunOrStage(agents, name, use);
    return found.kind == Target::Kind::Stage ? found : stageOfRun(found, "", use);
}

Target findRunOrStage(const Agents& agents, const std::string& name, Use use)
{
    if (const auto slash = name.find('/'); slash != std::string::npos)
        return stageOfRun(findRun(agents, name.substr(0, slash), use), name.substr(slash + 1), use);
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
