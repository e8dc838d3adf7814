#include "agent/ctl/CommandLine.h"

#include "agent/ctl/Commands.h"
#include "agent/ctl/Doctor.h"
#include "agent/ctl/Exec.h"
#include "agent/ctl/Settings.h"
#include "agent/ctl/Usage.h"
#include "agent/model/Stage.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <Poco/String.h>

#include <functional>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

namespace agent::ctl
{

namespace
{

constexpr const char* footer = R"(
A run or stage is given by its UUID or at least 6 of its first characters; a prefix finds a stage only if
its run is one of the newest 100.
Tables show 8 characters of an id on a terminal, full ids in a pipe. --json prints the API's answer.
Logs: colours pass, other escape sequences and control characters are escaped (\x1b), also in a pipe;
logs --raw prints the bytes unchanged.

Examples:
  stagectl run payment --follow            start a run and follow it
  stagectl runs --status failure           list recent failures
  stagectl logs 3f2a9c -f                  follow a stage's log
  stagectl retry 3f2a9c --reason "flaky"   retry a failed stage
  stagectl approve 81d04b                  approve the waiting deployment
  stagectl exec payment UNIT_TEST --keep   execute one stage locally, to reproduce a failure

The agent: --agent, $STAGE_AGENT_URL, `agent = URL` in ~/.config/stagectl, the socket of this host's agent
(unix:///run/stage-agent/api.sock, or api.sock in its state folder), http://127.0.0.1:7824. For https://
URLs the certificates of the system are believed, or those of --ca-file or `ca-file = PATH`.
Several agents (--agent and lines repeated, URLs in $STAGE_AGENT_URL separated by blanks) are asked in
parallel: their lists are merged, with a column HOST, and --json is a list with the URL of each object's
agent as "agent"; ids are looked up on all. An agent that does not answer in 15 s is reported; the exit
code is the highest of all agents.
The token: --token-file, $STAGE_AGENT_TOKEN, `token-file = PATH` in ~/.config/stagectl, else admin.token in the
default state folder of an agent on this host, where you may read it.

Exit codes: 0 success; 1 the followed run or executed stage failed, or the doctor found a fault;
2 invalid usage or configuration; 3 refused (4xx); 4 not found; 5 not possible now (409, 412);
6 no answer from the agent; 7 the agent failed (5xx), is not ready, or is not a stage-agent;
130 interrupted: a followed run goes on, an executed stage is ended; 141 the reader of exec's output
is gone. logs -f exits with 0 once the stage has ended, whatever its status.)";

// The statuses that a PATCH accepts; no stage can be set to AWAITING_APPROVAL.
constexpr const char* patched = "idle, in_progress, success or failure";

/// Returns a status, given in any case and with `-` for `_`, in the API's spelling. Errors:
/// CLI::ValidationError that lists `offered`.
std::string statusValue(const std::string& given, const std::string& offered)
{
    std::string name = Poco::replace(Poco::toUpper(given), "-", "_");
    if (!statusFrom(name))
        throw CLI::ValidationError("STATUS", "must be " + offered);
    return name;
}

/// All verbs and the variables that hold their options.
class CommandLine
{
public:
    CommandLine();
    Exit run(int argc, char** argv);

private:
    using Action = std::function<Exit(const Session&)>;

    CLI::App* verb(const std::string& name, const std::string& what, Action action);
    CLI::App* namedVerb(const std::string& name, const std::string& what, const std::string& of,
                        Action action);
    void addRunVerbs();
    void addStageVerbs();
    void addAgentVerbs();
    void addAccessVerbs();
    void addOutboxVerbs();
    void addExec();

    CLI::App _app{"Operates a stage-agent over its HTTP API.", "stagectl"};
    std::vector<std::pair<CLI::App*, Action>> _actions;

    std::vector<std::string> _agentUrls;
    std::string _tokenFile;
    std::string _caFile;
    bool _json = false;

    std::string _name; ///< the run or stage of the verbs that take one
    std::string _reason;
    bool _follow = false;
    bool _yes = false;
    RunRequest _runRequest;
    RunsQuery _runsQuery;
    LogsQuery _logsQuery;
    PatchRequest _patchRequest;
    TokenRequest _tokenRequest;
    bool _onlyPrint = false;
    std::int64_t _limit = 100;
    CLI::App* _doctor = nullptr;
    DoctorRequest _doctorRequest;
    CLI::App* _exec = nullptr;
    ExecCommand _execCommand;
};

CommandLine::CommandLine()
{
    _app.footer(footer);
    _app.fallthrough(); // --json and --agent may follow the verb
    _app.require_subcommand(1);
    _app.set_version_flag("--version", "stagectl " STAGE_AGENT_VERSION);
    _app.add_option("--agent", _agentUrls, "Address of an agent (repeatable)")
        ->type_name("URL")
        ->allow_extra_args(false);
    _app.add_option("--token-file", _tokenFile, "File with the token")->type_name("PATH");
    _app.add_option("--ca-file", _caFile, "PEM certificates to believe, for https://")
        ->type_name("PATH");
    _app.add_flag("--json", _json, "Print the API's JSON as one document");
    addRunVerbs();
    addStageVerbs();
    addAgentVerbs();
    addAccessVerbs();
    addOutboxVerbs();
    addExec();
}

CLI::App* CommandLine::verb(const std::string& name, const std::string& what, Action action)
{
    CLI::App* added = _app.add_subcommand(name, what);
    _actions.emplace_back(added, std::move(action));
    return added;
}

CLI::App* CommandLine::namedVerb(const std::string& name, const std::string& what,
                                 const std::string& of, Action action)
{
    CLI::App* added = verb(name, what, std::move(action));
    added->add_option(of, _name, "UUID or its first characters")->required()->type_name("");
    return added;
}

void CommandLine::addRunVerbs()
{
    CLI::App* run = verb("run", "Start a run of a service; prints its id",
                         [this](const Session& session) { return startRun(session, _runRequest); });
    run->add_option("SERVICE", _runRequest.service, "Name or id")->required()->type_name("");
    run->add_flag("-f,--follow", _runRequest.follow,
                  "Follow it to its end; Ctrl-C leaves it running");
    run->add_option("--commit", _runRequest.commit, "Commit to build")->type_name("HASH");
    run->add_option("--branch", _runRequest.branch, "Branch to build")->type_name("NAME");
    run->add_option("--env", _runRequest.env, "Environment variable for its stages (repeatable)")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false);
    run->add_option("--priority", _runRequest.priority, "Runs with a higher priority start first")
        ->type_name("N");
    run->add_option("--message", _runRequest.message, "The run's commit message")
        ->type_name("TEXT");
    run->add_option("--idempotency-key", _runRequest.idempotencyKey,
                    "Runs with the same key are started only once (24 h)")
        ->type_name("KEY");

    CLI::App* runs = verb("runs", "List runs, newest first",
                          [this](const Session& session) { return listRuns(session, _runsQuery); });
    runs->add_option("--service", _runsQuery.service, "Only of this service")->type_name("NAME|ID");
    runs->add_option_function<std::string>(
            "--status",
            [this](const std::string& text)
            {
                _runsQuery.status =
                    statusValue(text, "idle, in_progress, awaiting_approval, success or failure");
            },
            "Only with this status")
        ->type_name("STATUS");
    runs->add_option("--limit", _runsQuery.limit, "Maximum number (default: 20)")
        ->check(CLI::Range(1, 1000))
        ->type_name("N");

    namedVerb("stages", "List a run's stages in order", "RUN",
              [this](const Session& session) { return listStages(session, _name); });
    namedVerb("approve", "Approve a run's waiting deployment", "RUN",
              [this](const Session& session) { return approveRun(session, _name); });
    namedVerb("reject", "Reject the waiting stage: the run ends in FAILURE", "RUN|STAGE",
              [this](const Session& session) { return reject(session, _name, _reason); })
        ->add_option("--reason", _reason, "Reason, kept in the history")
        ->required()
        ->type_name("TEXT");
    namedVerb("stop", "Stop a run: all its processes are ended", "RUN",
              [this](const Session& session) { return stopRun(session, _name); });
    namedVerb("rerun", "Run an ended run's pipeline and commit again; prints the new id", "RUN",
              [this](const Session& session) { return rerun(session, _name, _follow); })
        ->add_flag("-f,--follow", _follow, "Follow it to its end");
}

void CommandLine::addStageVerbs()
{
    namedVerb("stage", "Show one stage in detail", "STAGE",
              [this](const Session& session) { return showStage(session, _name); });

    CLI::App* logs = verb("logs", "Print a stage's log",
                          [this](const Session& session) { return showLogs(session, _logsQuery); });
    logs->add_option("STAGE", _logsQuery.stage, "UUID or its first characters")
        ->required()
        ->type_name("");
    logs->add_flag("-f,--follow", _logsQuery.follow, "Follow until the stage has ended");
    logs->add_flag("--timestamps", _logsQuery.timestamps, "Prefix each line with its time");
    logs->add_option("--tail", _logsQuery.tail, "Only the last lines")
        ->check(CLI::Range(0, 10'000'000))
        ->type_name("N");
    logs->add_option("--since", _logsQuery.since,
                     "Only lines from this time on: an age (10m), or 2026-03-20T17:17:13.760Z")
        ->type_name("TIME");
    logs->add_option("--attempt", _logsQuery.attempt, "Attempt to show (default: the newest)")
        ->check(CLI::Range(1, 1'000'000))
        ->type_name("N");
    logs->add_flag("--raw", _logsQuery.raw,
                   "Bytes unchanged; else escape sequences other than colours are escaped");

    CLI::App* patch =
        verb("patch", "Set a stage's status",
             [this](const Session& session) { return patchStage(session, _patchRequest); });
    patch->add_option("STAGE", _patchRequest.stage, "UUID or its first characters")
        ->required()
        ->type_name("");
    patch
        ->add_option_function<std::string>(
            "STATUS",
            [this](const std::string& text) { _patchRequest.status = statusValue(text, patched); },
            patched)
        ->required()
        ->type_name("");
    patch->add_option("--reason", _patchRequest.reason, "Reason, kept in the history")
        ->required()
        ->type_name("TEXT");
    patch
        ->add_option("--if-match", _patchRequest.ifMatch,
                     "Only if the stage still has this version")
        ->type_name("VERSION");

    namedVerb("retry", "Retry a failed stage and all after it", "STAGE",
              [this](const Session& session) { return retryStage(session, _name, _reason); })
        ->add_option("--reason", _reason, "Reason, kept in the history")
        ->required()
        ->type_name("TEXT");
    namedVerb("skip", "Skip a stage that has not started", "STAGE",
              [this](const Session& session) { return skipStage(session, _name, _reason); })
        ->add_option("--reason", _reason, "Reason, kept in the history")
        ->required()
        ->type_name("TEXT");
    namedVerb("history", "Show the history of a stage, or of all stages of a run", "STAGE|RUN",
              [this](const Session& session) { return showHistory(session, _name); });
    namedVerb("delete", "Delete a run or stage and its logs", "RUN|STAGE",
              [this](const Session& session) { return deleteTarget(session, _name, _yes); })
        ->add_flag("--yes", _yes, "Required on a terminal");
}

void CommandLine::addAgentVerbs()
{
    verb("stuck", "List stages that are stuck, with their processes", listStuck);
    verb("services", "List the services", listServices);
    verb("plugins", "List the plugins", listPlugins);
    verb("agent", "Show the agent: version, slots, queue", showAgent);
    verb("drain", "Accept no new runs; running ones go on", drainAgent);
    verb("resume", "Accept new runs again", resumeAgent);
    verb("health", "Show whether the agent is ready; exit 7 if not", showHealth);

    // No action: it works without an agent, and reports errors in the settings as findings.
    _doctor =
        _app.add_subcommand("doctor", "Check agent and host, with advice; exit 1 if a check fails");
    _doctor->add_flag("--record", _doctorRequest.record,
                      "Check the whole record, not only its first pages");
    _doctor
        ->add_option("-c,--config", _doctorRequest.config,
                     "The agent's configuration (default: /etc/stage-agent/stage-agent.properties)")
        ->type_name("FILE");
    _doctor
        ->add_option("-D,--define", _doctorRequest.definitions,
                     "A configuration key, as for the agent's -D (repeatable)")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false);
}

void CommandLine::addAccessVerbs()
{
    CLI::App* token = _app.add_subcommand("token", "Make, list and revoke tokens for the API");
    token->require_subcommand(1);
    const auto tokenVerb = [&](const std::string& name, const std::string& what, Action action)
    {
        CLI::App* added = token->add_subcommand(name, what);
        _actions.emplace_back(added, std::move(action));
        return added;
    };
    CLI::App* create =
        tokenVerb("create", "Make a token and print it; it is never shown again",
                  [this](const Session& session) { return createToken(session, _tokenRequest); });
    create->add_option("NAME", _tokenRequest.name, "Name, which the history shows")
        ->required()
        ->type_name("");
    create->add_option("--role", _tokenRequest.role, "read, run, operate or admin (default: read)")
        ->type_name("ROLE");
    create
        ->add_option("--service", _tokenRequest.services,
                     "Only for services whose name matches (repeatable)")
        ->type_name("PATTERN")
        ->allow_extra_args(false);
    create->add_option("--expires", _tokenRequest.expires, "End: a span (30d), or a time")
        ->type_name("TIME");
    create->add_flag("--proxy", _tokenRequest.proxy,
                     "For a proxy that names the person: auth.proxy_header");
    create->add_flag("-q,--quiet", _tokenRequest.quiet, "Print only the token");
    tokenVerb("list", "List the tokens and their last use", listTokens);
    tokenVerb("revoke", "End a token at once",
              [this](const Session& session) { return revokeToken(session, _name); })
        ->add_option("NAME", _name, "Name of the token")
        ->required()
        ->type_name("");

    verb("dashboard", "Print an address that opens the dashboard; on a desktop open it",
         [this](const Session& session) { return openDashboard(session, _onlyPrint); })
        ->add_flag("--print", _onlyPrint, "Only print it");
}

void CommandLine::addOutboxVerbs()
{
    CLI::App* outbox = _app.add_subcommand("outbox", "List, retry and drop reports that wait");
    outbox->require_subcommand(1);
    const auto outboxVerb = [&](const std::string& name, const std::string& what, Action action)
    {
        CLI::App* added = outbox->add_subcommand(name, what);
        _actions.emplace_back(added, std::move(action));
        return added;
    };
    outboxVerb("list", "List the targets of reports, and what waits for them",
               [this](const Session& session) { return listOutbox(session, _limit); })
        ->add_option("--limit", _limit, "Reports at most (default: 100)")
        ->check(CLI::Range(1, 1000))
        ->type_name("N");
    outboxVerb("retry", "Send a report at once",
               [this](const Session& session) { return retryReport(session, _name); })
        ->add_option("REPORT", _name, "UUID")
        ->required()
        ->type_name("");
    outboxVerb("drop", "Drop a report; those behind it go on",
               [this](const Session& session) { return dropReport(session, _name); })
        ->add_option("REPORT", _name, "UUID")
        ->required()
        ->type_name("");
}

void CommandLine::addExec()
{
    _exec =
        _app.add_subcommand("exec", "Execute one stage of a service locally, without the agent");
    ExecCommand& to = _execCommand;
    _exec->add_option("SERVICE", to.service, "Name or id")->required()->type_name("");
    _exec->add_option("STAGE", to.stage, "Name, type or number")->required()->type_name("");
    _exec->add_option("-c,--config", to.config, "The agent's configuration")->type_name("FILE");
    _exec->add_option("-D,--define", to.definitions, "A configuration key (repeatable)")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false);
    _exec->add_option("--commit", to.commit, "Commit to build")->type_name("HASH");
    _exec->add_option("--branch", to.branch, "Branch to build")->type_name("NAME");
    _exec->add_option("--env", to.env, "Environment variable for the stages (repeatable)")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false);
    _exec
        ->add_option(
            "--workspace", to.workspace,
            "Execute only the stage, in this folder; else after the PREPARE stages before it")
        ->type_name("DIR");
    _exec->add_flag("--keep", to.keep, "Keep the temporary folder");
    _exec->add_flag("--raw", to.raw, "Bytes unchanged, as with logs");
    _exec->add_flag("--yes", to.confirmed, "Required for deployments");
}

Exit CommandLine::run(int argc, char** argv)
{
    try
    {
        _app.parse(argc, argv);
    }
    catch (const CLI::ParseError& error)
    {
        if (error.get_exit_code() == 0) // --help, --version
        {
            _app.exit(error, std::cout, std::cerr);
            std::cout.flush();
            return Exit::Ok;
        }
        throw Failure(Exit::Usage, usageMessage(_app, error));
    }
    if (_exec->parsed())
        execStage(_execCommand);
    if (_doctor->parsed())
    {
        _doctorRequest.agents = _agentUrls;
        _doctorRequest.tokenFile = _tokenFile;
        _doctorRequest.caFile = _caFile;
        return runDoctor(_doctorRequest, Terminal::ofOutput(), _json);
    }
    const Settings settings = findSettings(_agentUrls, _tokenFile, _caFile);
    const Agents agents(settings.agents, settings.token, settings.named, settings.caFile);
    const Session session{.agents = agents, .terminal = Terminal::ofOutput(), .json = _json};
    for (const auto& [command, action] : _actions)
        if (command->parsed())
            return action(session);
    return Exit::Usage;
}

} // namespace

Exit runCommandLine(int argc, char** argv)
{
    return CommandLine().run(argc, argv);
}

} // namespace agent::ctl
