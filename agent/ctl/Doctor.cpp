// `stagectl doctor`: checks of the agent over its API, and of the host by `stage-agent --doctor`.
#include "agent/ctl/Doctor.h"

#include "agent/ctl/AgentProgram.h"
#include "agent/ctl/Agents.h"
#include "agent/ctl/Commands.h"
#include "agent/ctl/Json.h"
#include "agent/ctl/Settings.h"
#include "agent/ctl/Text.h"
#include "agent/program/Program.h"

#include <Poco/String.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <system_error>

namespace agent::ctl
{

namespace
{

constexpr const char* checkAddress = "give the correct address: --agent URL";
constexpr std::chrono::seconds requestTimeout{10};
// It may read the whole record, and loads every plugin.
constexpr std::chrono::minutes hostTimeout{5};

/// Adds a failure as a finding: the first line of its message is what was seen, the others the advice.
void failAs(const std::string& check, const Failure& failure, const std::string& advice,
            Findings& findings)
{
    const std::string all = failure.what();
    const auto end = std::min(all.find('\n'), all.size());
    findings.fail(check, all.substr(0, end),
                  end == all.size() ? advice : Poco::replace(all.substr(end + 1), "\n", "; "));
}

void checkToken(const Settings& settings, int status, Findings& findings)
{
    if (status == 401 || status == 403)
        findings.fail("token",
                      settings.token.empty() ? "none is sent, but the agent requires one"
                                             : "the agent refuses that of " + settings.tokenFrom,
                      "--token-file FILE or $STAGE_AGENT_TOKEN: ask the agent's operator for one");
    else if (settings.token.empty())
        findings.ok("token", "none is sent, and none is required");
    else
        findings.ok("token", "from " + settings.tokenFrom);
}

/// Adds each line of /readyz that is not ok, with advice.
void checkReady(const Answer& answer, Findings& findings)
{
    if (answer.status == 200)
    {
        const std::string all = answer.body.substr(0, answer.body.rfind("\nready"));
        return findings.ok("ready", Poco::replace(all, "\n", "; "));
    }
    std::istringstream lines(answer.body);
    std::size_t added = 0;
    for (std::string line; std::getline(lines, line);)
    {
        const std::size_t before = findings.all().size();
        if (line.starts_with("store: the record is damaged"))
            findings.fail("ready", line,
                          "stop the agent and restore the state folder from a backup, or move "
                          "record.db away to start with an empty record (docs/operating.md)");
        else if (line.starts_with("store: the"))
            findings.fail("ready", line, "see journalctl -u stage-agent, and the record below");
        else if (line.starts_with("disk: below"))
            findings.fail("ready", line, "see disk below");
        else if (line.starts_with("executor: no slot"))
            findings.fail("ready", line,
                          "stagectl stuck lists the processes in uninterruptible sleep; restore "
                          "what they wait for, or reboot the host");
        else if (line.starts_with("executor: draining"))
            findings.warn("ready", line, "to accept new runs again: stagectl resume");
        added += findings.all().size() - before;
    }
    if (added == 0)
        findings.fail("ready", "/readyz answers " + std::to_string(answer.status),
                      "stagectl health; journalctl -u stage-agent");
}

void checkVersion(const Answer& answer, Findings& findings)
{
    const std::string version = text(objectOf(answer), "version");
    const std::string own = STAGE_AGENT_VERSION;
    if (version == own)
        findings.ok("version", own + ", as stagectl");
    else
        findings.warn("version", "the agent is " + version + ", stagectl " + own,
                      "after an upgrade: systemctl restart stage-agent (stages keep running); "
                      "else install the same version on both hosts");
}

/// Returns whether the answer is a stage-agent's: its text, or an error of its API.
bool isStageAgent(const Answer& health)
{
    rapidjson::Document document;
    return health.body.find("healthy") != std::string::npos ||
           (parseJson(health.body, document) && member(document, "error") != nullptr);
}

void askAgent(const Client& client, const Settings& settings, Findings& findings)
try
{
    const auto get = [&](const char* path)
    { return client.send({.path = path, .timeout = requestTimeout}); };
    const std::string who = visible(client.url()) + " (" + settings.agentsFrom + ")";
    const Answer health = get("/healthz");
    if (health.status == 421)
        return findings.fail("agent", who + " refuses this host name (421)",
                             "add " + visible(health.host) + " to the agent's http.hosts");
    if (!isStageAgent(health) || health.status == 404)
        return findings.fail("agent",
                             who + " answers " + std::to_string(health.status) +
                                 " to /healthz, unlike a stage-agent",
                             "check the address; for another one: --agent URL");
    if (health.status == 200)
        findings.ok("agent", who + " is healthy");
    else
        findings.fail("agent", who + " answers " + std::to_string(health.status),
                      "stagectl health; journalctl -u stage-agent");
    const Answer self = get("/api/agent");
    checkToken(settings, self.status, findings);
    if (self.status == 200)
        checkVersion(self, findings);
    checkReady(get("/readyz"), findings);
}
catch (const Failure& failure)
{
    failAs("agent", failure, checkAddress, findings);
}

/// With several agents each finding names its agent.
void askAgents(const Agents& agents, const Settings& settings, Findings& findings)
{
    for (const Agent& agent : agents.all())
    {
        Findings own;
        askAgent(agent.client, settings, own);
        for (Finding finding : own.all())
        {
            if (agents.several() && finding.check != "agent")
                finding.seen = agent.host + ": " + finding.seen;
            findings.add(std::move(finding));
        }
    }
}

void checkAgents(const DoctorRequest& request, Findings& findings)
{
    const std::string advice = "correct it and run doctor again: the agent was not asked";
    Settings settings;
    const auto succeeds = [&](const std::string& check, const std::string& otherwise, auto step)
    {
        try
        {
            step();
            return true;
        }
        catch (const Failure& failure)
        {
            failAs(check, failure, otherwise, findings);
            return false;
        }
    };
    (void)(succeeds("settings", advice,
                    [&] { findAgents(request.agents, settings, request.caFile); }) &&
           succeeds("token", advice, [&] { findToken(request.tokenFile, settings); }) &&
           succeeds("agent", checkAddress, // a malformed address
                    [&]
                    {
                        askAgents(
                            {settings.agents, settings.token, settings.named, settings.caFile},
                            settings, findings);
                    }));
}

Health healthFrom(const std::string& status)
{
    return status == "ok" ? Health::Ok : status == "warn" ? Health::Warn : Health::Fail;
}

/// Adds the findings from the program's JSON. Returns false if it is malformed.
bool addFromJson(const std::string& out, Findings& findings)
{
    rapidjson::Document document;
    if (!parseJson(out, document) || !document.IsArray() || document.Empty())
        return false;
    for (const rapidjson::Value& each : document.GetArray())
        findings.add({.check = text(each, "check"),
                      .health = healthFrom(text(each, "status")),
                      .seen = text(each, "seen"),
                      .advice = text(each, "advice")});
    return true;
}

void checkHost(const DoctorRequest& request, Findings& findings)
{
    std::filesystem::path program;
    try
    {
        program = agentProgram();
    }
    catch (const Failure& failure)
    {
        return findings.warn("host", failure.what(),
                             "run stagectl doctor on the agent's host to check that host too");
    }
    std::vector<std::string> argv{program.string(), "--doctor"};
    std::error_code error;
    const bool installed = std::filesystem::exists(installedConfiguration, error);
    const std::string config = !request.config.empty() ? request.config
                               : installed || error    ? installedConfiguration
                                                       : "";
    if (!config.empty())
        argv.insert(argv.end(), {"--config", config});
    if (request.record)
        argv.emplace_back("--record");
    for (const std::string& definition : request.definitions)
        argv.insert(argv.end(), {"-D", definition});
    std::string wrong;
    try
    {
        const ProgramEnd end =
            runProgram({.argv = argv, .timeout = hostTimeout, .mostBytes = 4U << 20U});
        if (addFromJson(end.out, findings))
            return;
        wrong = program.string() + " --doctor: " + end.describe();
    }
    catch (const std::system_error& failure)
    {
        wrong = failure.what();
    }
    findings.fail("host", wrong, "reinstall stage-agent: stagectl is " STAGE_AGENT_VERSION);
}

} // namespace

Exit runDoctor(const DoctorRequest& request, const Terminal& terminal, bool json)
{
    Findings findings;
    checkAgents(request, findings);
    checkHost(request, findings);
    if (json)
        writeOut(toJson(findings) + "\n");
    else
        writeOut(described(findings, terminal));
    return findings.count(Health::Fail) == 0 ? Exit::Ok : Exit::Failed;
}

} // namespace agent::ctl
