#include "agent/ctl/Commands.h"
#include "agent/ctl/Follow.h"
#include "agent/ctl/Json.h"
#include "agent/ctl/Listing.h"
#include "agent/ctl/Lookup.h"
#include "agent/ctl/Text.h"
#include "agent/model/Id.h"

#include <Poco/String.h>

#include <algorithm>
#include <condition_variable>
#include <initializer_list>
#include <iostream>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>
#include <unistd.h>
#include <utility>

namespace agent::ctl
{

namespace
{

// A stop answers once no process is left: after each stage's grace and the kill.
constexpr std::chrono::seconds stopTimeout{120};

Exit follow(const Session& session, const Client& client, const std::string& run)
{
    const bool live = !session.json && session.terminal.interactive;
    exitOnInterrupt(live ? LiveView::reset : "",
                    "\nstagectl: the run goes on: stagectl stages " + run +
                        "\nstagectl:   to end it: stagectl stop " + run + "\n");
    std::unique_ptr<FollowView> view;
    if (session.json) // standard output is for the document at the end
        view = std::make_unique<PlainView>([](std::string_view text) { std::cerr << text; });
    else if (live)
        view = std::make_unique<LiveView>(session.terminal);
    else
        view = std::make_unique<PlainView>(writeOut);
    const bool success = RunFollower(client, run, *view).follow();
    if (session.json)
        printDocument(session, client.ask({.path = "/api/runs/" + run}).body);
    return success ? Exit::Ok : Exit::Failed;
}

/// Prints the result in one line, or the API's answer.
void report(const Session& session, const Answer& answer, const std::string& line)
{
    if (session.json)
        printDocument(session, answer.body);
    else
        writeOut(line + "\n");
}

/// Prints only the new run's id, so that `id=$(stagectl run …)` works.
void reportRun(const Session& session, const std::string& id, const std::string& state)
{
    writeOut(id + "\n");
    if (session.terminal.interactive)
        note(state + "; to see it: stagectl stages " + id.substr(0, 8));
}

std::string environmentJson(const std::vector<std::string>& entries)
{
    ObjectWriter env;
    for (const std::string& entry : entries)
    {
        const std::size_t equals = entry.find('=');
        if (equals == 0 || equals == std::string::npos)
            throw Failure(Exit::Usage, "--env takes NAME=VALUE, not '" + visible(entry) + "'");
        env.add(entry.substr(0, equals), entry.substr(equals + 1));
    }
    return env.done();
}

std::string labelsJson(const std::vector<std::string>& entries)
{
    ObjectWriter labels;
    for (const std::string& entry : entries)
    {
        const std::size_t colon = entry.find(':');
        if (colon == 0 || colon == std::string::npos)
            throw Failure(Exit::Usage, "--label takes KEY:VALUE, not '" + visible(entry) + "'");
        labels.add(entry.substr(0, colon), entry.substr(colon + 1));
    }
    return labels.done();
}

/// Posts the run, once more if the answer was lost: the key prevents a second run.
Answer postRun(const Client& client, const Call& call)
{
    try
    {
        return client.ask(call);
    }
    catch (const Failure& failure)
    {
        if (failure.exit() != Exit::Unreachable)
            throw;
        return client.ask(call);
    }
}

/// While it lives, tells a person at a terminal which processes of the stage are still there.
class WaitTeller
{
public:
    WaitTeller(const Client& client, std::string stage)
        : _client(client.within(std::chrono::minutes(2))), _stage(std::move(stage))
    {
        if (::isatty(STDERR_FILENO) == 1)
            _thread = std::jthread([this](const std::stop_token& stop) { tell(stop); });
    }

private:
    void tell(const std::stop_token& stop)
    {
        std::mutex mutex;
        std::condition_variable_any ended;
        std::string told;
        const auto began = std::chrono::steady_clock::now();
        std::unique_lock lock(mutex);
        while (!ended.wait_for(lock, stop, std::chrono::seconds(1),
                               [&] { return stop.stop_requested(); }))
            try
            {
                const std::string words = waiting(std::chrono::steady_clock::now() - began);
                if (!words.empty() && words != told && !stop.stop_requested())
                    note(words);
                told = words;
            }
            catch (const Failure&)
            {
                return; // the request itself tells
            }
    }

    /// Returns `waiting for 2 processes: 4711 (sh), 4712 (sleep); KILL after the grace of 10s`.
    [[nodiscard]] std::string waiting(std::chrono::steady_clock::duration since) const
    {
        constexpr rapidjson::SizeType named = 3;
        const auto processes =
            listOf(_client.ask({.path = "/api/stages/" + _stage + "/processes"}));
        if (processes.Empty())
            return "";
        std::string words = "waiting for " + std::to_string(processes.Size()) +
                            (processes.Size() == 1 ? " process: " : " processes: ");
        for (rapidjson::SizeType i = 0; i < std::min(named, processes.Size()); ++i)
            words += (i == 0 ? "" : ", ") + text(processes[i], "pid") + " (" +
                     text(processes[i], "command") + ")";
        words += processes.Size() > named ? " …" : "";
        const auto stage = objectOf(_client.ask({.path = "/api/stages/" + _stage}));
        const rapidjson::Value* definition = member(stage, "definition");
        const auto grace = definition == nullptr ? std::nullopt : number(*definition, "graceMs");
        const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
        if (!grace)
            return words;
        return words + (passed < *grace
                            ? "; KILL in " + durationText((*grace - passed + 999) / 1000)
                            : "; KILL was sent");
    }

    Client _client;
    std::string _stage;
    std::jthread _thread;
};

Answer patch(const Client& client, const std::string& stage, const std::string& status,
             const std::string& reason, const std::string& version)
{
    ObjectWriter body;
    body.add("status", status);
    if (!reason.empty())
        body.add("reason", reason);
    Call call{.method = "PATCH",
              .path = "/api/stages/" + stage,
              .body = body.done(),
              .timeout = stopTimeout};
    if (!version.empty())
        call.headers.emplace_back("If-Match", version);
    const WaitTeller teller(client, stage);
    return client.ask(call);
}

/// Posts the verb to the agent, or to all that --agent names: leaving --agent out must not change a whole
/// fleet that is listed in a file.
Exit postToAgents(const Session& session, const std::string& verb, const std::string& line)
{
    if (session.agents.several() && !session.agents.named())
    {
        std::string message = verb + " needs --agent, once for each agent it is to apply to:";
        for (const Agent& agent : session.agents.all())
            message += "\n--agent " + visible(agent.client.url());
        throw Failure(Exit::Usage, message);
    }
    const Listing agents(session.agents, Listing::Of::Objects,
                         [&](const Client& client)
                         { return client.ask({.method = "POST", .path = "/api/agent/" + verb}); });
    if (session.json)
        return agents.end(session.document(agents.json()));
    std::string out;
    for (const Entry& entry : agents.entries())
        out += agents.host(entry, ": ") + line + "\n";
    return agents.end(out);
}

/// Patches a stage only if its status is in `from`, and conditionally (If-Match): a `skip` must not end a
/// stage that has just started.
Answer patchFrom(const Client& client, const std::string& stage,
                 std::initializer_list<const char*> from, const std::string& to,
                 const std::string& reason, const std::string& hint)
{
    const Answer seen = client.ask({.path = "/api/stages/" + stage});
    const std::string status = text(objectOf(seen), "status");
    if (std::find(from.begin(), from.end(), status) == from.end())
        throw Failure(Exit::Conflict, "stage " + stage + " is " + visible(status) + "; " + hint);
    const auto tag = seen.headers.find("etag");
    return patch(client, stage, to, reason, tag == seen.headers.end() ? "" : tag->second);
}

} // namespace

Exit startRun(const Session& session, const RunRequest& request)
{
    ObjectWriter body;
    body.add("service", request.service);
    if (!request.commit.empty())
        body.add("commit", request.commit);
    if (!request.branch.empty())
        body.add("branch", request.branch);
    if (!request.message.empty())
        body.add("commitMessage", request.message);
    if (!request.env.empty())
        body.addJson("env", environmentJson(request.env));
    if (!request.labels.empty())
        body.addJson("labels", labelsJson(request.labels));
    if (request.priority)
        body.addNumber("priority", *request.priority);
    const std::string key = request.idempotencyKey.empty() ? newId() : request.idempotencyKey;
    const Client& client = findAgentOf(session.agents, request.service);
    const Answer answer = postRun(client, {.method = "POST",
                                           .path = "/api/runs",
                                           .body = body.done(),
                                           .headers = {{"Idempotency-Key", key}}});
    const std::string id = text(objectOf(answer), "id");
    if (!parseId(id))
        throw Failure(Exit::AgentFailed, "the agent's answer names no run");
    if (request.follow)
        return follow(session, client, id);
    if (session.json)
        printDocument(session, answer.body);
    else
        reportRun(session, id, answer.status == 200 ? "already started with this key" : "queued");
    return Exit::Ok;
}

Exit rerun(const Session& session, const std::string& run, bool followIt)
{
    const Target old = findRun(session.agents, run, Use::Change);
    const Answer answer =
        old.client->ask({.method = "POST", .path = "/api/runs/" + old.id + "/rerun"});
    const auto id = parseId(Poco::trim(answer.body));
    if (!id)
        throw Failure(Exit::AgentFailed, "the agent's answer names no run");
    if (followIt)
        return follow(session, *old.client, *id);
    if (session.json)
        printDocument(session, old.client->ask({.path = "/api/runs/" + *id}).body);
    else
        reportRun(session, *id, "queued");
    return Exit::Ok;
}

Exit stopRun(const Session& session, const std::string& name)
{
    const Target run = findRun(session.agents, name, Use::Change);
    // Asked first: the answer is 0 stages both for an ended and for a queued run.
    const auto before = objectOf(run.client->ask({.path = "/api/runs/" + run.id}));
    const Answer answer = run.client->ask(
        {.method = "POST", .path = "/api/runs/" + run.id + "/stop", .timeout = stopTimeout});
    const auto stopped = number(objectOf(answer), "executionsStopped").value_or(0);
    std::string result = "ended; no stage was running";
    if (!text(before, "endedAt").empty())
        result = "had already ended in " + text(before, "status");
    else if (stopped > 0)
        result = "stopped " + std::to_string(stopped) + (stopped == 1 ? " stage" : " stages");
    report(session, answer, "run " + run.id + ": " + result);
    return Exit::Ok;
}

namespace
{

/// Returns which commits the approval of the run sends out, a line each; empty where nothing tells.
std::string outgoingCommits(const Client& client, const std::string& runId)
try
{
    const auto outgoing =
        objectOf(client.ask({.path = "/api/runs/" + runId + "/outgoing-commits"}));
    const rapidjson::Value* commits = member(outgoing, "commits");
    if (commits == nullptr || !commits->IsArray() || commits->Empty())
        return "";
    const std::string since = text(outgoing, "sinceCommitHash").substr(0, 12);
    const std::string shown = std::to_string(commits->Size());
    std::string lines =
        text(outgoing, "complete") == "true"
            ? shown + (commits->Size() == 1 ? " commit" : " commits") + " since " + since + ":\n"
        : since.empty() ? "the first to go out; it and what is before it:\n"
                        : "at least these commits since " + since + ":\n";
    for (const rapidjson::Value& commit : commits->GetArray())
        lines += "  " + visible(text(commit, "commitHash").substr(0, 12)) + " " +
                 visible(text(commit, "subject")) + "\n";
    return lines;
}
catch (const Failure& failure)
{
    if (failure.exit() != Exit::NotFound) // an agent of a release before
        throw;
    return "";
}

} // namespace

Exit approveRun(const Session& session, const std::string& name)
{
    const Target run = findRun(session.agents, name, Use::Change);
    const std::string goesOut = session.json ? "" : outgoingCommits(*run.client, run.id);
    const Answer answer =
        run.client->ask({.method = "POST", .path = "/api/runs/" + run.id + "/approve-deployment"});
    writeOut(goesOut);
    report(session, answer, "run " + run.id + ": approved");
    return Exit::Ok;
}

Exit keepRun(const Session& session, const std::string& name, bool undo)
{
    const Target run = findRun(session.agents, name, Use::Change);
    const Answer answer =
        run.client->ask({.method = "PATCH",
                         .path = "/api/runs/" + run.id,
                         .body = undo ? R"({"kept":false})" : R"({"kept":true})"});
    report(session, answer,
           "run " + run.id +
               (undo ? ": ages as others do" : ": kept, with its logs and artifacts"));
    return Exit::Ok;
}

Exit reject(const Session& session, const std::string& runOrStage, const std::string& reason)
{
    const Target target = findRunOrStage(session.agents, runOrStage, Use::Change);
    std::string stage = target.kind == Target::Kind::Stage ? target.id : "";
    if (stage.empty())
    {
        const auto stages = listOf(target.client->ask({.path = "/api/stages?runId=" + target.id}));
        for (const rapidjson::Value& entry : stages.GetArray())
            if (text(entry, "status") == "AWAITING_APPROVAL")
                stage = parseId(text(entry, "id")).value_or("");
        if (stage.empty())
            throw Failure(Exit::Conflict,
                          "run " + target.id + ": no stage is waiting for approval");
    }
    const Answer answer = patchFrom(*target.client, stage, {"AWAITING_APPROVAL"}, "FAILURE", reason,
                                    "only a stage that is AWAITING_APPROVAL can be rejected");
    report(session, answer, "stage " + stage + ": rejected");
    return Exit::Ok;
}

Exit patchStage(const Session& session, const PatchRequest& request)
{
    const Target stage = findStage(session.agents, request.stage, Use::Change);
    std::string version = request.ifMatch;
    // The header needs quotes, which a shell removes.
    if (!version.empty() && version != "*" && version.front() != '"')
        version = '"' + version + '"';
    const Answer answer = patch(*stage.client, stage.id, request.status, request.reason, version);
    report(session, answer, "stage " + stage.id + ": " + request.status);
    return Exit::Ok;
}

Exit retryStage(const Session& session, const std::string& name, const std::string& reason)
{
    const Target stage = findStage(session.agents, name, Use::Change);
    const Answer answer = patchFrom(*stage.client, stage.id, {"FAILURE"}, "IDLE", reason,
                                    "only a stage that ended in FAILURE can be retried");
    report(session, answer, "stage " + stage.id + ": queued again");
    return Exit::Ok;
}

Exit skipStage(const Session& session, const std::string& name, const std::string& reason)
{
    const Target stage = findStage(session.agents, name, Use::Change);
    const Answer answer = patchFrom(
        *stage.client, stage.id, {"IDLE", "AWAITING_APPROVAL"}, "SUCCESS", reason,
        "only a stage that is IDLE or AWAITING_APPROVAL can be skipped; to end or accept it: "
        "stagectl patch " +
            stage.id + " SUCCESS --reason TEXT");
    report(session, answer, "stage " + stage.id + ": skipped");
    return Exit::Ok;
}

Exit deleteTarget(const Session& session, const std::string& runOrStage, bool confirmed)
{
    if (!confirmed && session.terminal.interactive)
        throw Failure(Exit::Usage, "delete removes records and logs permanently: add --yes");
    const Target target = findRunOrStage(session.agents, runOrStage, Use::Change);
    const bool run = target.kind == Target::Kind::Run;
    const Answer answer = target.client->ask(
        {.method = "DELETE", .path = (run ? "/api/runs/" : "/api/stages/") + target.id});
    report(session, answer, (run ? "run " : "stage ") + target.id + ": deleted");
    return Exit::Ok;
}

Exit drainAgent(const Session& session)
{
    return postToAgents(session, "drain", "draining: running runs go on, no new ones are accepted");
}

Exit resumeAgent(const Session& session)
{
    return postToAgents(session, "resume", "accepting new runs again");
}

} // namespace agent::ctl
