#include "agent/AgentApplication.h"

#include "agent/ServiceStatus.h"
#include "agent/Watchdog.h"
#include "agent/api/Followers.h"
#include "agent/api/HttpServer.h"
#include "agent/api/Routes.h"
#include "agent/doctor/Doctor.h"
#include "agent/exec/ExecStage.h"
#include "agent/model/Id.h"
#include "agent/os/Journal.h"
#include "agent/process/DescriptorLimit.h"
#include "agent/run/Engine.h"
#include "agent/run/Executions.h"
#include "agent/run/LeftoverFolders.h"
#include "agent/run/ServiceCommands.h"

#include <Poco/Exception.h>
#include <Poco/Util/HelpFormatter.h>
#include <Poco/Util/Option.h>
#include <Poco/Util/OptionSet.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

namespace agent
{

using Poco::Util::Option;

namespace
{

constexpr int exitConfig = 78; // EX_CONFIG of sysexits.h; systemd does not restart on it

using journal::error;
using journal::info;
using journal::warn;

sigset_t signals()
{
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP})
        sigaddset(&set, signal);
    return set;
}

/// `1 service`, `2 services`
std::string counted(std::size_t number, const std::string& what)
{
    return std::to_string(number) + " " + what + (number == 1 ? "" : "s");
}

void reloadCertificate(TlsContext* tls)
try
{
    if (tls != nullptr)
        tls->reload();
}
catch (const CertificateError& wrong)
{
    error(std::string("the certificate in use stays in use: ") + wrong.what());
}

std::string cgroupName(const std::filesystem::path& state)
{
    return std::to_string(std::hash<std::string>{}(state.string()) % 100'000'000);
}

} // namespace

AgentApplication::AgentApplication()
{
    // Before the first thread: only the main thread's loop handles signals.
    const sigset_t set = signals();
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    ::umask(0077);
    setUnixOptions(true);
}

int AgentApplication::run(int argc, char** argv)
{
    try
    {
        init(argc, argv);
    }
    catch (const Poco::Exception& failure)
    {
        std::cerr << "stage-agent: " << failure.displayText() << "; see --help\n";
        return _exec.given() ? static_cast<int>(ExecExit::Usage) : EXIT_USAGE;
    }
    return ServerApplication::run();
}

void AgentApplication::defineOptions(Poco::Util::OptionSet& options)
{
    // Without ServerApplication's --daemon: systemd or a shell does that.
    Application::defineOptions(options); // NOLINT(bugprone-parent-virtual-call)
    options.addOption(Option("help", "h", "show this help"));
    options.addOption(Option("version", "V", "show the version"));
    options.addOption(Option("config", "c", "read this properties file").argument("FILE"));
    options.addOption(
        Option("define", "D", "set a configuration key").argument("key=value").repeatable(true));
    options.addOption(Option("check", "", "check configuration, plugins and services, then exit"));
    options.addOption(
        Option("doctor", "",
               "check this host, print the findings as JSON, then exit (readable: stagectl "
               "doctor)"));
    options.addOption(Option("record", "", "with --doctor: check the whole record too"));
    ExecRequest::defineOptions(options);
}

void AgentApplication::handleOption(const std::string& name, const std::string& value)
{
    Application::handleOption(name, value);
    if (name == "help" || name == "version")
        stopOptionsProcessing();
    _help = _help || name == "help";
    _version = _version || name == "version";
    _check = _check || name == "check";
    _doctor = _doctor || name == "doctor";
    _wholeRecord = _wholeRecord || name == "record";
    _exec.take(name, value);
    if (name == "config")
        _file = value;
    if (name == "define")
        _definitions.push_back(value);
}

int AgentApplication::main(const std::vector<std::string>& args)
{
    if (_version)
    {
        std::cout << "stage-agent " << STAGE_AGENT_VERSION << std::endl;
        return EXIT_OK;
    }
    if (_help)
    {
        Poco::Util::HelpFormatter help(options());
        help.setCommand("stage-agent");
        help.setUsage("[--config FILE] [-D key=value]…");
        help.setHeader("Executes the stages of CI runs on this host and serves the stages API.");
        help.setFooter(
            "SIGTERM ends the agent and leaves running stages to their shims; the next start "
            "adopts them. SIGHUP reloads services and certificate. Exit codes: 78 invalid "
            "configuration, "
            "64 invalid command line.");
        help.format(std::cout);
        return EXIT_OK;
    }
    _programs = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    if (_exec.given())
        return exec(args);
    if (!args.empty())
    {
        std::cerr << "stage-agent: unexpected argument '" << args.front() << "'; see --help\n";
        return EXIT_USAGE;
    }
    std::vector<Problem> problems;
    _config = readConfig(_file, _definitions, problems);
    if (_doctor)
        return examineHost(problems);
    if (!problems.empty())
    {
        for (const auto& problem : problems)
            std::cerr << "stage-agent: " << problem.describe() << '\n';
        return exitConfig;
    }
    return _check ? check() : serve();
}

void AgentApplication::loadPlugins(std::vector<Problem>& problems)
{
    _plugins.load(_programs / "plugins", problems);
    std::error_code error;
    if (std::filesystem::is_directory(_config.pluginsDir, error))
        _plugins.load(_config.pluginsDir, problems);
}

int AgentApplication::check()
{
    std::vector<Problem> problems;
    loadPlugins(problems);
    const auto found = _services.load(
        _config.servicesDir, _plugins, [](const std::string& name) { return name; },
        _config.secretsDir);
    problems.insert(problems.end(), found.begin(), found.end());
    try
    {
        (void)tlsContext();
    }
    catch (const CertificateError& wrong)
    {
        problems.push_back({.key = "http.tls_certificate", .message = wrong.what()});
    }
    for (const auto& warning : _config.warnings)
        std::cerr << "stage-agent: warning: " << warning.describe() << '\n';
    for (const auto& problem : problems)
        std::cerr << "stage-agent: " << problem.describe() << '\n';
    std::cout << counted(_plugins.all().size(), "plugin") << ", "
              << counted(_services.all().size(), "service") << ", "
              << counted(problems.size(), "problem") << std::endl;
    return problems.empty() ? 0 : exitConfig;
}

int AgentApplication::examineHost(const std::vector<Problem>& problems) const
{
    const Findings findings = doctor::checkHost({.config = _config,
                                                 .file = _file,
                                                 .problems = problems,
                                                 .wholeRecord = _wholeRecord,
                                                 .programs = _programs});
    std::cout << doctor::toJson(findings) << std::endl;
    return findings.count(Health::Fail) == 0 ? 0 : 1;
}

OrderDefaults AgentApplication::orders(const std::filesystem::path& mirrors) const
{
    const char* home = std::getenv("HOME");
    return {.timeoutMs = _config.stageTimeoutMs,
            .graceMs = _config.stageGraceMs,
            .logMaxBytes = _config.logMaxBytes,
            .pluginHost = _programs / "stage-plugin-host",
            .mirrors = mirrors,
            .secretsDir = _config.secretsDir,
            .home = home ? home : "/"};
}

int AgentApplication::exec(const std::vector<std::string>& args)
try
{
    _exec.check(args);
    std::vector<Problem> problems;
    _config = readConfig(_file, _definitions, problems);
    for (const auto& problem : problems)
        tellExec(problem.describe());
    if (!problems.empty())
        return static_cast<int>(ExecExit::Usage);
    loadPlugins(problems);
    // Generated service ids are in the daemon's record, which is not read here.
    const auto found = _services.load(
        _config.servicesDir, _plugins, [](const std::string&) { return newId(); },
        _config.secretsDir);
    problems.insert(problems.end(), found.begin(), found.end());
    return static_cast<int>(execStage(planExec(_exec, _services, _plugins, problems), _exec,
                                      _plugins, _programs / "stage-shim", orders({})));
}
catch (const ExecRefusal& refusal)
{
    tellExec(refusal.what());
    return static_cast<int>(refusal.exit());
}
catch (const Poco::Exception& failure)
{
    tellExec(failure.displayText());
    return static_cast<int>(ExecExit::Usage);
}
catch (const std::exception& failure)
{
    tellExec(failure.what());
    return static_cast<int>(ExecExit::Usage);
}

std::unique_ptr<TlsContext> AgentApplication::tlsContext() const
{
    if (_config.tlsCertificate.empty())
        return nullptr;
    return std::make_unique<TlsContext>(CertificateFiles{_config.tlsCertificate, _config.tlsKey});
}

ListenOptions AgentApplication::listening() const
{
    return {.address = _config.httpAddress,
            .port = _config.httpPort,
            .socket = _config.httpSocket,
            .group = _config.operatorsGid,
            .tls = !_config.tlsCertificate.empty(),
            .passed = ListeningSockets::passedBySystemd(),
            .warn = warn};
}

int AgentApplication::serve()
try
{
    for (const auto& warning : _config.warnings)
        warn(warning.describe());
    const std::unique_ptr<TlsContext> tls = tlsContext();
    const std::size_t descriptors = raiseDescriptorLimit();
    // 1 The state folder and the record.
    const StateFolder state(_config.stateDir);
    // Before the record: who disagrees with the configuration shall change nothing.
    ListeningSockets sockets(listening());
    Database database(state.record());
    // 2 Plugins and services: a faulty one does not affect the others.
    std::vector<Problem> problems;
    loadPlugins(problems);
    const auto loadServices = [&](const ServiceCatalog::IdFor& idFor)
    {
        for (const auto& problem :
             _services.load(_config.servicesDir, _plugins, idFor, _config.secretsDir))
            error(problem.describe());
    };
    for (const auto& problem : problems)
        error(problem.describe());
    loadServices([&](const std::string& name)
                 { return RunStore(database.writer()).serviceId(name); });
    // 3 The engine, which adopts running stages.
    Cgroup cgroup = Cgroup::open(cgroupName(state.root()));
    if (!cgroup.available())
        warn("stages have no cgroup of their own (" + cgroup.why() +
             "): no memory, cpu or pids limit is enforced");
    else if (const auto missing = cgroup.missing({.memoryBytes = 1, .cpuPercent = 1, .pids = 1});
             !missing.empty())
        warn("limits not enforced, because cgroup version 2 lacks the controller: " + missing);
    CleanupWorker cleanup(state.root(), error);
    StageListCache stageLists;
    // Half of the descriptors are for logs, shims and the record: clients never take those.
    const std::size_t share = std::max<std::size_t>(16, descriptors / 4);
    Followers followers({.most = std::min<std::size_t>(2000, share), .log = error}, database,
                        state);
    ServiceStatus serviceStatus;
    Executions executions(Launcher(_programs / "stage-shim", cgroup));
    Engine engine({.slots = _config.slots,
                   .queueMax = _config.queueMax,
                   .minFreeBytes = _config.diskMinFree,
                   .stuckAfterMs = _config.stuckAfterMs,
                   .stuckAfterByType = _config.stuckAfterByType,
                   .retention = {.runsMs = _config.runsKeepMs,
                                 .runsCount = _config.runsKeepCount,
                                 .workspaceMs = _config.workspaceKeepMs,
                                 .plainLogsMs = _config.logsCompressAfterMs},
                   .orders = orders(state.mirrors())},
                  database, state, _plugins, _services, executions, cleanup,
                  {.changed =
                       [&](const std::set<std::string>& runIds)
                   {
                       for (const auto& id : runIds)
                           stageLists.drop(id);
                       followers.changed(runIds);
                   },
                   .log = error,
                   .status = [&] { serviceStatus.changed(); }});
    engine.start();
    const LeftoverFolders leftovers(state, database, cleanup);
    // 4 Followers of logs and events.
    followers.start();
    // 5 The check of the record, and the API.
    RecordCheck recordCheck(state.record(), database.endedUncleanly(), error);
    std::unique_ptr<Guard> guard;
    std::unique_ptr<Routes> routes;
    HttpServer server({.connections = std::min<std::size_t>(4096, share),
                       .basePath = _config.httpBasePath,
                       .tls = tls.get(),
                       .logError = error},
                      sockets.take(),
                      {.answer = [&](const Request& request) { return routes->handle(request); },
                       .takesLong = Routes::takesLong,
                       .atOnce = [&](const Request& request) { return routes->atOnce(request); }});
    guard = std::make_unique<Guard>(GuardOptions{.address = _config.httpAddress,
                                                 .port = sockets.port(),
                                                 .loopback6 = sockets.loopback6(),
                                                 .hosts = _config.httpHosts});
    routes = std::make_unique<Routes>(ApiParts{engine, database, _services, _plugins, state,
                                               stageLists, followers, recordCheck, tls.get()},
                                      *guard);
    // Stop the engine first: it answers requests that block the server's threads.
    const std::shared_ptr<Engine> stopped(&engine, [](Engine* running) { running->stop(); });
    server.start();
    const std::string url =
        (tls ? "https://" : "http://") + sockets.authority() + _config.httpBasePath;
    state.writeAddress(url);
    info("ready: " + url + ", state " + state.root().string() + ", " +
         counted(static_cast<std::size_t>(_config.slots), "slot") + ", " +
         counted(_services.all().size(), "service") + ", " +
         counted(_plugins.all().size(), "plugin"));
    ::sd_notify(0, "READY=1");
    recordCheck.start();
    // 6 What systemd is told of all that.
    serviceStatus.start([&] { return engine.status(); });
    const auto readRecord = [&database]
    {
        auto reader = database.reader();
        (void)RunStore(*reader).run("");
    };
    using std::chrono::milliseconds;
    Watchdog watchdog(
        {{.name = "the engine",
          .threads = {"engine"},
          .answers = [&](milliseconds timeout) { return engine.ping(timeout); }},
         {.name = "the HTTP server",
          .threads = {"http", "http-short"},
          .answers = [&](milliseconds timeout) { return server.ping(readRecord, timeout); }}},
        error);

    const sigset_t set = signals();
    while (true)
    {
        int signal = 0;
        ::sigwait(&set, &signal);
        if (signal != SIGHUP)
            break;
        ::sd_notify(0, "RELOADING=1");
        try
        {
            loadServices([&](const std::string& name)
                         { return commands::serviceId(engine, name); });
            commands::servicesChanged(engine);
        }
        catch (const std::exception& failure)
        {
            error(std::string("services not reloaded: ") + failure.what());
        }
        reloadCertificate(tls.get());
        info("services reloaded: " + std::to_string(_services.all().size()));
        ::sd_notify(0, "READY=1");
    }
    info("stopping; running stages go on under their shims");
    ::sd_notify(0, "STOPPING=1");
    watchdog.stop();
    serviceStatus.stop();
    state.removeAddress();
    recordCheck.stop(); // closes its connection before the writer makes the last checkpoint
    followers.stop();
    // Before the server: it answers pending requests, which frees the server's threads.
    engine.stop();
    server.stop();
    return EXIT_OK;
}
catch (const CertificateError& wrong)
{
    std::cerr << "stage-agent: http.tls_certificate: " << wrong.what() << '\n';
    return exitConfig;
}
catch (const ListenMismatch& mismatch)
{
    std::cerr << "stage-agent: " << mismatch.what() << '\n';
    return exitConfig;
}
catch (const Poco::Exception& failure)
{
    std::cerr << "stage-agent: " << failure.displayText() << '\n';
    return EXIT_SOFTWARE;
}
catch (const std::exception& failure)
{
    std::cerr << "stage-agent: " << failure.what() << '\n';
    return EXIT_SOFTWARE;
}

} // namespace agent
