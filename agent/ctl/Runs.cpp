// `stagectl runs`: the runs of all agents, newest first.
#include "agent/ctl/Cells.h"
#include "agent/ctl/Commands.h"
#include "agent/ctl/Json.h"
#include "agent/ctl/Listing.h"
#include "agent/ctl/Lookup.h"
#include "agent/ctl/StageWords.h"
#include "agent/ctl/Table.h"
#include "agent/ctl/Text.h"

#include <map>
#include <optional>

namespace agent::ctl
{

namespace
{

using NoService =
    std::map<std::string, std::optional<Failure>>; ///< by address: that it lacks the service

std::string firstLine(const std::string& text)
{
    return text.substr(0, text.find('\n'));
}

std::string pathOf(const RunsQuery& query)
{
    std::string path = "/api/runs?limit=" + std::to_string(query.limit);
    std::string statuses;
    for (const std::string& status : query.statuses)
        statuses += (statuses.empty() ? "" : ",") + status;
    if (!statuses.empty())
        path += "&status=" + statuses;
    if (!query.branch.empty())
        path += "&branch=" + encoded(query.branch);
    if (!query.label.empty())
        path += "&label=" + encoded(query.label);
    if (const auto since = sinceFrom(query.since))
        path += "&since=" + formatTime(*since);
    return path;
}

/// Returns the agent's runs. One of several agents may lack the service: `lacks` is set then.
Answer askRuns(const Session& session, const RunsQuery& query, const Client& client,
               std::optional<Failure>& lacks)
{
    std::string path = pathOf(query);
    try
    {
        if (!query.service.empty())
            path += "&serviceId=" + encoded(findService(client, query.service));
    }
    catch (const Failure& failure)
    {
        if (!session.agents.several() || failure.exit() != Exit::NotFound)
            throw;
        lacks = failure;
        return {.status = 200, .body = "[]"};
    }
    return client.ask({.path = path});
}

/// Errors: Failure NotFound, or the worst of `silent`, if no agent that answered has the service.
void requireService(const Agents& agents, const NoService& known,
                    const std::vector<Failure>& silent)
{
    std::vector<Failure> lack;
    for (const Agent& agent : agents.all())
        if (const auto& none = known.at(agent.client.url()))
            lack.emplace_back(none->exit(), agent.host + ": " + none->what());
    if (!lack.empty() && lack.size() + silent.size() == agents.all().size())
        throw Failure(worst(silent, Exit::NotFound),
                      "no agent has this service" + listed(lack) + listed(silent));
}

/// Returns the stage that the run is at, or that failed in it, or what it waits for.
std::string atCell(const Terminal& terminal, const rapidjson::Value& run)
{
    const std::string waits = waitsCell(terminal, run);
    const rapidjson::Value* stage = member(run, "failedStage");
    if (stage == nullptr || stage->IsNull())
        stage = member(run, "currentStage");
    std::string at = stage == nullptr || stage->IsNull() ? "" : stageTitle(*stage);
    const std::string cause = text(run, "cause");
    if (!at.empty() && !cause.empty() && cause != "EXIT")
        at += ": " + causeWords(cause);
    if (const std::string failed = failedTests(run); !failed.empty())
        at += (at.empty() ? "" : at.find(": ") == std::string::npos ? ": " : ", ") + failed;
    if (waits.empty() || text(run, "status") == "AWAITING_APPROVAL")
        return at;
    return (at.empty() ? "" : at + ", ") + "waits for " + waits;
}

std::string serviceCell(const Terminal& terminal, const rapidjson::Value& run)
{
    const std::string name = text(run, "serviceName");
    return name.empty() ? idCell(terminal, text(run, "serviceId")) : name;
}

std::string branchCell(const rapidjson::Value& run)
{
    const std::string number = text(run, "pullNumber");
    const std::string branch = text(run, "branch");
    return number.empty() ? branch : branch + (branch.empty() ? "#" : " #") + number;
}

} // namespace

Exit listRuns(const Session& session, const RunsQuery& query)
{
    const Terminal& terminal = session.terminal;
    NoService lacks; // complete before the threads start: they only change their own entry
    for (const Agent& agent : session.agents.all())
        lacks[agent.client.url()] = std::nullopt;
    Listing runs(session.agents, Listing::Of::Lists,
                 [&](const Client& client)
                 { return askRuns(session, query, client, lacks.at(client.url())); });
    requireService(session.agents, lacks, runs.missing());
    runs.keepNewest(static_cast<std::size_t>(query.limit));
    if (session.json)
        return runs.end(session.document(runs.json()));

    const bool commits = terminal.wide || !terminal.interactive || terminal.width >= wideEnough;
    std::vector<std::string> headings{"RUN",     "STATUS", "SERVICE", "BRANCH",
                                      "CREATED", "TIME",   "AT"};
    if (commits)
        headings.insert(headings.end(), {"COMMIT", "MESSAGE"});
    if (terminal.wide)
        headings.insert(headings.end(), {"TRIGGER", "COMMITTER", "ENDED"});
    Table table(runs.headings(headings));
    for (const Entry& entry : runs.entries())
    {
        const rapidjson::Value& run = *entry.value;
        std::vector<std::string> cells{idCell(terminal, text(run, "id")),
                                       runStatus(run),
                                       serviceCell(terminal, run),
                                       branchCell(run),
                                       agoCell(terminal, run, "createdAt"),
                                       tookCell(run),
                                       atCell(terminal, run)};
        if (commits)
            cells.insert(cells.end(), {text(run, "commitHash").substr(0, 10),
                                       firstLine(text(run, "commitMessage"))});
        if (terminal.wide)
            cells.insert(cells.end(), {text(run, "triggerType"), text(run, "committer"),
                                       timeCell(run, "endedAt")});
        table.add(runs.row(entry, std::move(cells)));
    }
    return runs.end(table.render(terminal));
}

} // namespace agent::ctl
