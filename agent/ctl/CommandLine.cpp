#include "agent/ctl/CommandLine.h"

#include "agent/ctl/Commands.h"
#include "agent/ctl/Doctor.h"
#include "agent/ctl/Exec.h"
#include "agent/ctl/Follow.h"
#include "agent/ctl/Help.h"
#include "agent/ctl/Init.h"
#include "agent/ctl/Options.h"
#include "agent/ctl/Settings.h"
#include "agent/ctl/Text.h"
#include "agent/ctl/Usage.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <chrono>
#include <functional>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

namespace agent::ctl
{

namespace
{

// The refreshes of --watch.
constexpr std::chrono::seconds watchInterval{2};

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
    void addLocalVerbs();
    CLI::App* watchable(CLI::App* verb);
    [[nodiscard]] Terminal terminal() const;
    [[nodiscard]] Exit help() const;
    [[nodiscard]] Exit watch(const Agents& agents, const Action& action) const;

    CLI::App _app{"Operates a stage-agent over its HTTP API.", "stagectl"};
    std::vector<std::pair<CLI::App*, Action>> _actions;

    std::vector<std::string> _agentUrls;
    std::string _tokenFile;
    std::string _caFile;
    bool _json = false;
    std::string _output;
    bool _watch = false;

    std::string _name; ///< the run or stage of the verbs that take one
    std::string _reason;
    bool _follow = false;
    bool _yes = false;
    bool _details = false;
    bool _undo = false;
    ArtifactsQuery _artifactsQuery;
    RunRequest _runRequest;
    RunsQuery _runsQuery;
    LogsQuery _logsQuery;
    PatchRequest _patchRequest;
    TokenRequest _tokenRequest;
    CachesRequest _caches;
    bool _onlyPrint = false;
    std::int64_t _limit = 100;
    CLI::App* _doctor = nullptr;
    DoctorRequest _doctorRequest;
    CLI::App* _exec = nullptr;
    ExecCommand _execCommand;
    CLI::App* _init = nullptr;
    InitRequest _initRequest;
    CLI::App* _lint = nullptr;
    LintRequest _lintRequest;
    CLI::App* _help = nullptr;
};

CommandLine::CommandLine()
{
    _app.formatter(helpFormatter());
    _app.require_subcommand(0, 1); // `help run` is one
    _app.fallthrough();            // --json and --agent may follow the verb
    _app.set_version_flag("--version", "stagectl " STAGE_AGENT_VERSION);
    _app.add_option("--agent", _agentUrls, "Address of an agent, a URL or HOST:PORT (repeatable)")
        ->type_name("URL")
        ->allow_extra_args(false);
    _app.add_option("--token-file", _tokenFile, "File with the token")->type_name("PATH");
    _app.add_option("--ca-file", _caFile, "PEM certificates to believe, for https://")
        ->type_name("PATH");
    _app.add_flag("--json", _json, "Print the API's JSON as one document");
    _app.add_option("-o,--output", _output, "wide, name, json or yaml")
        ->check(CLI::IsMember({"wide", "name", "json", "yaml"}))
        ->type_name("FORM");
    addRunVerbs();
    addStageVerbs();
    addAgentVerbs();
    addAccessVerbs();
    addOutboxVerbs();
    addLocalVerbs();
    addFooters(_app);
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
    added->add_option(of, _name, of == "RUN" ? runNames : stageNames)->required()->type_name("");
    return added;
}

/// Adds --watch to a verb that shows something.
CLI::App* CommandLine::watchable(CLI::App* verb)
{
    verb->add_flag("-w,--watch", _watch, "Show it again every 2 s, until Ctrl-C");
    return verb;
}

void CommandLine::addRunVerbs()
{
    CLI::App* run = verb("run", "Start a run of a service; prints its id",
                         [this](const Session& session) { return startRun(session, _runRequest); });
    addRunOptions(*run, _runRequest);

    CLI::App* runs =
        watchable(verb("runs", "List runs, newest first",
                       [this](const Session& session) { return listRuns(session, _runsQuery); }));
    addRunsOptions(*runs, _runsQuery);

    watchable(namedVerb("stages", "List a run's stages in order", "RUN",
                        [this](const Session& session) { return listStages(session, _name); }));
    watchable(namedVerb("describe", "Show all of a run, or of a stage: command, waits, last lines",
                        "RUN|STAGE",
                        [this](const Session& session) { return describe(session, _name); }));
    namedVerb("approve", "Approve a run's waiting deployment", "RUN",
              [this](const Session& session) { return approveRun(session, _name); });
    namedVerb("reject", "Reject the waiting stage: the run ends in FAILURE", "RUN|STAGE",
              [this](const Session& session) { return reject(session, _name, _reason); })
        ->add_option("--reason", _reason, "Reason, kept in the history")
        ->required()
        ->type_name("TEXT");
    namedVerb("stop", "Stop a run: all its processes are ended", "RUN",
              [this](const Session& session) { return stopRun(session, _name); });
    namedVerb("tests", "Show the tests of a run that failed, as their reports say", "RUN",
              [this](const Session& session) { return showTests(session, _name, _details); })
        ->add_flag("--details", _details, "With stack traces, and what else the reports have");
    CLI::App* artifacts =
        verb("artifacts", "List the files that a run, or a stage, left, or bring them here",
             [this](const Session& session) { return showArtifacts(session, _artifactsQuery); });
    addArtifactsOptions(*artifacts, _artifactsQuery);
    namedVerb("keep", "Keep a run, its logs and its artifacts for as long as you like", "RUN",
              [this](const Session& session) { return keepRun(session, _name, _undo); })
        ->add_flag("--undo", _undo, "It ages again as others do");
    namedVerb("rerun", "Run an ended run's pipeline and commit again; prints the new id", "RUN",
              [this](const Session& session) { return rerun(session, _name, _follow); })
        ->add_flag("-f,--follow", _follow, "Follow it to its end");
}

void CommandLine::addStageVerbs()
{
    namedVerb("stage", "Show one stage as the API has it", "STAGE",
              [this](const Session& session) { return showStage(session, _name); });
    watchable(namedVerb("ps", "List a stage's processes and what they wait for", "STAGE",
                        [this](const Session& session) { return listProcesses(session, _name); }));

    CLI::App* logs = verb("logs", "Print a stage's log",
                          [this](const Session& session) { return showLogs(session, _logsQuery); });
    addLogsOptions(*logs, _logsQuery);

    CLI::App* patch =
        verb("patch", "Set a stage's status",
             [this](const Session& session) { return patchStage(session, _patchRequest); });
    addPatchOptions(*patch, _patchRequest);

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
    watchable(verb("stuck", "List stages that are stuck, with their processes", listStuck));
    watchable(verb("services", "List the services", listServices));
    watchable(verb("plugins", "List the plugins", listPlugins));
    watchable(verb("agent", "Show the agent: version, slots, queue", showAgent));
    verb("drain", "Accept no new runs; running ones go on", drainAgent);
    verb("resume", "Accept new runs again", resumeAgent);
    watchable(verb("health", "Show whether the agent is ready; exit 7 if not", showHealth));

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
    addLimit(*outboxVerb("list", "List the targets of reports, and what waits for them",
                         [this](const Session& session) { return listOutbox(session, _limit); }),
             "Reports", _limit);
    addLimit(*verb("hooks", "List what forges delivered in the last 24 hours, and what came of it",
                   [this](const Session& session) { return listHooks(session, _limit); }),
             "Deliveries", _limit);
    addCachesOptions(*verb("caches", "List, or remove, what stages keep from run to run",
                           [this](const Session& session) { return listCaches(session, _caches); }),
                     _caches);
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

void CommandLine::addLocalVerbs()
{
    _init = _app.add_subcommand(
        "init", "Write a first service file for the repository in this folder, and check it");
    addInitOptions(*_init, _initRequest);
    _lint = _app.add_subcommand("lint", "Check a repository's pipeline file, without the agent");
    addLintOptions(*_lint, _lintRequest);
    _exec =
        _app.add_subcommand("exec", "Execute one stage of a service locally, without the agent");
    addExecOptions(*_exec, _execCommand);
    _help = _app.add_subcommand("help", "Show the help of a verb, or of a topic");
    _help->add_option("TOPIC", _name, "A verb, or ids, output, agents, exit-codes")->type_name("");
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
    if (_app.get_subcommands().empty())
    {
        note("a verb is missing");
        std::cerr << helpFormatter()->make_help(&_app, "stagectl", CLI::AppFormatMode::Normal);
        return Exit::Usage;
    }
    if (_help->parsed())
        return help();
    if (_init->parsed())
        return initService(_initRequest);
    if (_lint->parsed())
        lint(_lintRequest);
    if (_exec->parsed() && _execCommand.from.empty())
        execStage(_execCommand);
    if (_doctor->parsed())
    {
        _doctorRequest.agents = _agentUrls;
        _doctorRequest.tokenFile = _tokenFile;
        _doctorRequest.caFile = _caFile;
        return runDoctor(_doctorRequest, Terminal::ofOutput(), _json || _output == "json");
    }
    const Settings settings = findSettings(_agentUrls, _tokenFile, _caFile);
    const Agents agents(settings.agents, settings.token, settings.named, settings.caFile);
    if (_exec->parsed())
    {
        findWorkspace(agents, _execCommand);
        execStage(_execCommand);
    }
    const Session session{.agents = agents,
                          .terminal = terminal(),
                          .json = _json || _output == "json" || _output == "yaml",
                          .yaml = _output == "yaml"};
    for (const auto& [command, action] : _actions)
        if (command->parsed())
            return _watch ? watch(agents, action) : action(session);
    return Exit::Usage;
}

Terminal CommandLine::terminal() const
{
    if (_output == "name")
        return {.names = true};
    Terminal terminal = Terminal::ofOutput();
    terminal.wide = _output == "wide";
    if (terminal.wide)
        terminal.width = 0;
    return terminal;
}

/// Shows what the action prints, again and again, until an interrupt.
Exit CommandLine::watch(const Agents& agents, const Action& action) const
{
    if (!Terminal::ofOutput().interactive || _json || (!_output.empty() && _output != "wide"))
        throw Failure(Exit::Usage,
                      "--watch redraws a terminal: it takes no pipe, and no -o but wide");
    exitOnInterrupt("\x1b[?2026l\x1b[0m", "");
    OutageTolerance tolerance;
    while (true)
    {
        writeOut("\x1b[?2026h\x1b[H\x1b[2J");
        tolerance.attempt([&] { action({.agents = agents, .terminal = terminal()}); }, note);
        writeOut("\n" + clockTime(nowMs()) + ", again every 2 s\x1b[?2026l\n");
        const auto next = std::chrono::steady_clock::now() + watchInterval;
        while (std::chrono::steady_clock::now() < next && !resizedUntil(next))
            continue;
    }
}

Exit CommandLine::help() const
{
    if (_name.empty())
    {
        writeOut(helpFormatter()->make_help(&_app, "stagectl", CLI::AppFormatMode::Normal));
        return Exit::Ok;
    }
    std::string shown = topicText(_name);
    const auto verbs = _app.get_subcommands([](const CLI::App*) { return true; });
    for (const CLI::App* verb : verbs)
        if (verb->get_name() == _name)
            shown = verb->help("stagectl");
    if (shown.empty())
        throw Failure(Exit::Usage,
                      "there is no verb or topic '" + visible(_name) + "'\nsee: stagectl help");
    writeOut(shown);
    return Exit::Ok;
}

} // namespace

Exit runCommandLine(int argc, char** argv)
{
    return CommandLine().run(argc, argv);
}

} // namespace agent::ctl
