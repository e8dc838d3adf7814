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
A run or stage is named by its UUID or by the first characters of it, at least 6; a stage so only if
its run is one of the newest 100.
On a terminal tables show the first 8; in a pipe whole ids. --json prints what the API answered.
Logs: colours pass, other escape sequences and control characters are made visible (\x1b),
also in a pipe; logs --raw gives the bytes exactly.

Examples:
  stagectl run payment --follow            start a run and watch it
  stagectl runs --status failure           what failed lately
  stagectl logs 3f2a9c -f                  read a stage's log as it grows
  stagectl retry 3f2a9c --reason "flaky"   try a failed stage again
  stagectl approve 81d04b                  let the waiting deployment go on
  stagectl exec payment UNIT_TEST --keep   execute one stage here, to reproduce a failure

The agent: --agent, $STAGE_AGENT_URL, `agent = URL` in ~/.config/stagectl, http://127.0.0.1:7824.
Several agents (--agent again, further lines, URLs between blanks in $STAGE_AGENT_URL) are asked at
once: lists become one, with a column HOST, and --json is a list with the URL of each object's agent as
"agent"; an id is looked up on all. Who does not answer in 15 s is told; a list ends with the highest
exit code of all agents.
The token: --token-file, $STAGE_AGENT_TOKEN, `token-file = PATH` in ~/.config/stagectl.

Exit codes: 0 done; 1 the followed run or the executed stage failed, or the doctor found a fault;
2 wrong usage or configuration; 3 refused (4xx); 4 not found; 5 not possible now (409, 412); 6 no
answer from the agent; 7 the agent failed (5xx), is not ready, or is not a stage-agent; 130 interrupted:
a followed run goes on, an executed stage is ended; 141 nobody reads what exec prints.
logs -f ends with 0 when the stage has ended, however it ended.)";

// What a stage may be patched to; none is ever sent back to wait for an approval.
constexpr const char* patched = "idle, in_progress, success or failure";

/// The status in any case, `-` for `_`, as the API writes it. Errors: CLI::ValidationError with those
/// that are offered.
std::string statusValue(const std::string& given, const std::string& offered)
{
    std::string name = Poco::replace(Poco::toUpper(given), "-", "_");
    if (!statusFrom(name))
        throw CLI::ValidationError("STATUS", "must be " + offered);
    return name;
}

/// All verbs with the places that their options are read into.
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
    void addExec();

    CLI::App _app{"Operates a stage-agent over its HTTP API.", "stagectl"};
    std::vector<std::pair<CLI::App*, Action>> _actions;

    std::vector<std::string> _agentUrls;
    std::string _tokenFile;
    bool _json = false;

    std::string _name; ///< the run or stage of the verbs that take one
    std::string _reason;
    bool _follow = false;
    bool _yes = false;
    RunRequest _runRequest;
    RunsQuery _runsQuery;
    LogsQuery _logsQuery;
    PatchRequest _patchRequest;
    CLI::App* _doctor = nullptr;
    DoctorRequest _doctorRequest;
    CLI::App* _exec = nullptr;
    ExecCommand _execCommand;
};

CommandLine::CommandLine()
{
    _app.footer(footer);
    _app.fallthrough(); // --json and --agent also behind the verb
    _app.require_subcommand(1);
    _app.set_version_flag("--version", "stagectl " STAGE_AGENT_VERSION);
    _app.add_option("--agent", _agentUrls, "Address of the agent (repeatable)")
        ->type_name("URL")
        ->allow_extra_args(false);
    _app.add_option("--token-file", _tokenFile, "File that holds the token")->type_name("PATH");
    _app.add_flag("--json", _json, "Print the API's JSON, one document");
    addRunVerbs();
    addStageVerbs();
    addAgentVerbs();
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
    run->add_flag("-f,--follow", _runRequest.follow, "Watch it to its end; Ctrl-C leaves it going");
    run->add_option("--commit", _runRequest.commit, "Commit to build")->type_name("HASH");
    run->add_option("--branch", _runRequest.branch, "Branch to build")->type_name("NAME");
    run->add_option("--env", _runRequest.env, "A variable for its stages (repeatable)")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false);
    run->add_option("--priority", _runRequest.priority, "Higher is taken first")->type_name("N");
    run->add_option("--message", _runRequest.message, "The run's commit message")
        ->type_name("TEXT");
    run->add_option("--idempotency-key", _runRequest.idempotencyKey,
                    "The same key starts the run only once (24 h)")
        ->type_name("KEY");

    CLI::App* runs = verb("runs", "List runs, newest first",
                          [this](const Session& session) { return listRuns(session, _runsQuery); });
    runs->add_option("--service", _runsQuery.service, "Only this one's")->type_name("NAME|ID");
    runs->add_option_function<std::string>(
            "--status",
            [this](const std::string& text)
            {
                _runsQuery.status =
                    statusValue(text, "idle, in_progress, awaiting_approval, success or failure");
            },
            "Only those in this status")
        ->type_name("STATUS");
    runs->add_option("--limit", _runsQuery.limit, "How many, 20 unless told")
        ->check(CLI::Range(1, 1000))
        ->type_name("N");

    namedVerb("stages", "List a run's stages in order", "RUN",
              [this](const Session& session) { return listStages(session, _name); });
    namedVerb("approve", "Let a run's waiting deployment go on", "RUN",
              [this](const Session& session) { return approveRun(session, _name); });
    namedVerb("reject", "Refuse the waiting approval: the run ends in FAILURE", "RUN|STAGE",
              [this](const Session& session) { return reject(session, _name, _reason); })
        ->add_option("--reason", _reason, "Why, for the history")
        ->required()
        ->type_name("TEXT");
    namedVerb("stop", "End a run: its processes are ended and seen gone", "RUN",
              [this](const Session& session) { return stopRun(session, _name); });
    namedVerb("rerun", "Run an ended run's pipeline and commit again; prints the new id", "RUN",
              [this](const Session& session) { return rerun(session, _name, _follow); })
        ->add_flag("-f,--follow", _follow, "Watch it to its end");
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
    logs->add_flag("-f,--follow", _logsQuery.follow, "Go on until the stage has ended");
    logs->add_flag("--timestamps", _logsQuery.timestamps, "Begin each line with its time");
    logs->add_option("--tail", _logsQuery.tail, "Only the last lines")
        ->check(CLI::Range(0, 10'000'000))
        ->type_name("N");
    logs->add_option(
            "--since", _logsQuery.since,
            "Only lines from this time on: 10m and the like ago, or 2026-03-20T17:17:13.760Z")
        ->type_name("TIME");
    logs->add_option("--attempt", _logsQuery.attempt, "Of this attempt; the newest unless told")
        ->check(CLI::Range(1, 1'000'000))
        ->type_name("N");
    logs->add_flag("--raw", _logsQuery.raw,
                   "The bytes exactly; else escape sequences other than colours are made visible");

    CLI::App* patch =
        verb("patch", "Set a stage's status by hand",
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
    patch->add_option("--reason", _patchRequest.reason, "Why, for the history")
        ->required()
        ->type_name("TEXT");
    patch->add_option("--if-match", _patchRequest.ifMatch, "Only if it still has this version")
        ->type_name("VERSION");

    namedVerb("retry", "Try a failed stage again, and all after it", "STAGE",
              [this](const Session& session) { return retryStage(session, _name, _reason); })
        ->add_option("--reason", _reason, "Why, for the history")
        ->required()
        ->type_name("TEXT");
    namedVerb("skip", "Go on without a stage that has not started", "STAGE",
              [this](const Session& session) { return skipStage(session, _name, _reason); })
        ->add_option("--reason", _reason, "Why, for the history")
        ->required()
        ->type_name("TEXT");
    namedVerb("history", "What happened to a stage, or to all of a run's: when, who, why",
              "STAGE|RUN", [this](const Session& session) { return showHistory(session, _name); });
    namedVerb("delete", "Delete a run or stage with its logs", "RUN|STAGE",
              [this](const Session& session) { return deleteTarget(session, _name, _yes); })
        ->add_flag("--yes", _yes, "Needed on a terminal");
}

void CommandLine::addAgentVerbs()
{
    verb("stuck", "List running stages that hang, with what they do right now", listStuck);
    verb("services", "List the services", listServices);
    verb("plugins", "List the plugins", listPlugins);
    verb("agent", "Show the agent: version, slots, queue", showAgent);
    verb("drain", "Take no new runs; running ones go on", drainAgent);
    verb("resume", "Take new runs again", resumeAgent);
    verb("health", "Say whether the agent is ready; exit 7 if not", showHealth);

    // No action: it works without an agent, and tells what is wrong with the settings too.
    _doctor = _app.add_subcommand(
        "doctor", "Check agent and host, and say what to do; exit 1 if something fails");
    _doctor->add_flag("--record", _doctorRequest.record,
                      "Read the whole record too, not its first pages only");
    _doctor
        ->add_option("-c,--config", _doctorRequest.config,
                     "The agent's; /etc/stage-agent/stage-agent.properties if it is there")
        ->type_name("FILE");
    _doctor
        ->add_option("-D,--define", _doctorRequest.definitions,
                     "A key as the agent got it on its command line (repeatable)")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false);
}

void CommandLine::addExec()
{
    _exec = _app.add_subcommand(
        "exec",
        "Execute one stage of a service here and now, to reproduce a failure; asks no agent");
    ExecCommand& to = _execCommand;
    _exec->add_option("SERVICE", to.service, "Name or id")->required()->type_name("");
    _exec->add_option("STAGE", to.stage, "Its name, type or number")->required()->type_name("");
    _exec->add_option("-c,--config", to.config, "The daemon's configuration")->type_name("FILE");
    _exec->add_option("-D,--define", to.definitions, "A key of it (repeatable)")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false);
    _exec->add_option("--commit", to.commit, "Commit to build")->type_name("HASH");
    _exec->add_option("--branch", to.branch, "Branch to build")->type_name("NAME");
    _exec->add_option("--env", to.env, "A variable for the stages (repeatable)")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false);
    _exec
        ->add_option("--workspace", to.workspace,
                     "Only the stage, in this folder; else the PREPARE stages before it come first")
        ->type_name("DIR");
    _exec->add_flag("--keep", to.keep, "Keep the throw-away folder");
    _exec->add_flag("--raw", to.raw, "The log's bytes exactly, as with logs");
    _exec->add_flag("--yes", to.sure, "Needed for deployments");
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
        throw Failure(Exit::Usage, wrongUsage(_app, error));
    }
    if (_exec->parsed())
        becomeExec(_execCommand);
    if (_doctor->parsed())
    {
        _doctorRequest.agents = _agentUrls;
        _doctorRequest.tokenFile = _tokenFile;
        return examine(_doctorRequest, Terminal::ofOutput(), _json);
    }
    const Settings settings = findSettings(_agentUrls, _tokenFile);
    const Agents agents(settings.agents, settings.token, settings.named);
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
