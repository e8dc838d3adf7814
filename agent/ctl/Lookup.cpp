#include "agent/ctl/Lookup.h"

#include "agent/ctl/Failure.h"
#include "agent/ctl/Json.h"
#include "agent/ctl/Text.h"
#include "agent/model/Id.h"

#include <Poco/String.h>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace agent::ctl
{

namespace
{

constexpr std::size_t shortest = 6; // fewer would soon fit a stranger

struct Candidate
{
    Target target;
    std::string shown;
};

/// The name in lower case. Errors: Failure Usage when it can't begin a UUID.
std::string prefixOf(const std::string& name)
{
    std::string prefix = Poco::toLower(name);
    const bool fits = prefix.size() >= shortest && prefix.size() < 36 &&
                      prefix.find_first_not_of("0123456789abcdef-") == std::string::npos;
    if (!fits)
        throw Failure(Exit::Usage, "'" + visible(name) +
                                       "' is no id: a UUID, or its first characters (at least 6)");
    return prefix;
}

bool begins(const std::string& id, const std::string& prefix)
{
    return id.rfind(prefix, 0) == 0;
}

void addRuns(const Client& client, const std::string& prefix, std::vector<Candidate>& found)
{
    const auto runs = listOf(client.ask({.path = "/api/runs?limit=1000"}));
    for (const rapidjson::Value& run : runs.GetArray())
    {
        const std::string id = text(run, "id");
        if (begins(id, prefix) && parseId(id))
            found.push_back({{Target::Kind::Run, id},
                             "run " + id + "  " + visible(text(run, "status")) + "  " +
                                 visible(text(run, "createdAt"))});
    }
}

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
                found.push_back({{Target::Kind::Stage, id},
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

Target only(const std::vector<Candidate>& found, const std::string& name, const std::string& what)
{
    if (found.empty())
        throw Failure(Exit::NotFound, "no " + what + " begins with " + visible(name));
    if (found.size() == 1)
        return found.front().target;
    std::string message = visible(name) + " fits " + std::to_string(found.size()) + ":";
    for (const Candidate& candidate : found)
        message += "\n" + candidate.shown;
    throw Failure(Exit::Usage, message);
}

} // namespace

std::string findRun(const Client& client, const std::string& name)
{
    if (const auto id = parseId(name))
        return *id;
    std::vector<Candidate> found;
    addRuns(client, prefixOf(name), found);
    return only(found, name, "run").id;
}

std::string findStage(const Client& client, const std::string& name)
{
    if (const auto id = parseId(name))
        return *id;
    std::vector<Candidate> found;
    addStages(client, prefixOf(name), found);
    return only(found, name, "stage of the newest 100 runs").id;
}

Target findRunOrStage(const Client& client, const std::string& name)
{
    if (const auto id = parseId(name))
    {
        if (exists(client, "/api/runs/" + *id))
            return {Target::Kind::Run, *id};
        if (exists(client, "/api/stages/" + *id))
            return {Target::Kind::Stage, *id};
        throw Failure(Exit::NotFound, "no run and no stage has the id " + *id);
    }
    std::vector<Candidate> found;
    const std::string prefix = prefixOf(name);
    addRuns(client, prefix, found);
    addStages(client, prefix, found);
    return only(found, name, "run or stage");
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
                      (names.empty() ? ": none is declared" : "; there are: " + names));
}

} // namespace agent::ctl
