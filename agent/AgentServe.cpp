// The daemon at work: how its parts are made, in numbered order, and stopped in reverse.
#include "agent/AgentApplication.h"

#include "agent/PassedBySystemd.h"
#include "agent/ServiceStatus.h"
#include "agent/Watchdog.h"
#include "agent/api/Followers.h"
#include "agent/api/HttpServer.h"
#include "agent/api/Json.h"
#include "agent/api/Routes.h"
#include "agent/intake/Poller.h"
#include "agent/os/DescriptorLimit.h"
#include "agent/os/Journal.h"
#include "agent/outbox/Outbox.h"
#include "agent/process/PortKeeper.h"
#include "agent/run/Engine.h"
#include "agent/run/Executions.h"
#include "agent/run/LeftoverFolders.h"
#include "agent/run/NeedChecks.h"
#include "agent/run/ReportCommands.h"
#include "agent/run/ServiceCommands.h"
#include "agent/store/ServiceIds.h"

#include <Poco/Exception.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <functional>
#include <iostream>
#include <set>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

namespace agent
{

namespace
{

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

std::string hostName()
{
    std::array<char, 256> name{};
    return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "localhost";
}

std::string cgroupName(const std::filesystem::path& state)
{
    return std::to_string(std::hash<std::string>{}(state.string()) % 100'000'000);
}

/// Before the first thread.
void keepStagesAway()
{
    // Memory and descriptors are closed to processes of the same user. Source: PR_SET_DUMPABLE(2const).
    ::prctl(PR_SET_DUMPABLE, 0);
    // What a killed shim leaves becomes ours, and is ended (process/Launcher).
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    // Read by ShimWatch: a shim that was stopped (SIGSTOP).
    sigset_t children;
    ::sigemptyset(&children);
    ::sigaddset(&children, SIGCHLD);
    ::pthread_sigmask(SIG_BLOCK, &children, nullptr);
}

} // namespace

AgentApplication::AgentApplication()
{
    // Before the first thread: only the main thread's loop handles signals.
    const sigset_t set = signals();
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    _umask = ::umask(0077); // stages keep the one that we came with
    setUnixOptions(true);
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
            .warn = warn};
}

AccessOptions AgentApplication::accessOptions() const
{
    // Without a name it is the agent's own group; one that is not there has no members.
    const std::string& group = _config.operatorsGroup;
    const gid_t unnamed = group.empty() ? ::getegid() : static_cast<gid_t>(-1);
    return {.required = _config.authRequired,
            .operatorsGroup = group.empty() ? std::to_string(unnamed) : group,
            .operators = _config.operatorsGid.value_or(unnamed),
            .proxyHeader = _config.proxyHeader,
            .log = warn};
}

OrderDefaults AgentApplication::collecting(const StateFolder& state, OrderDefaults orders) const
{
    orders.collect = {.program = _programs / "stage-collector",
                      .store = state.artifacts(),
                      .maxBytes = _config.artifactsMaxBytes,
                      .maxFiles = _config.artifactsMaxFiles,
                      .timeoutMs = _config.artifactsTimeoutMs};
    return orders;
}

void AgentApplication::warnOfIsolation() const
{
    const IsolationPolicy& isolation = _config.isolation;
    if (isolation.hostLacks.empty())
        return;
    warn("stages are " +
         std::string(_config.isolationChosen && isolation.byDefault == Isolation::Sandbox
                         ? "refused that want a sandbox"
                         : "not kept apart from this host") +
         ", and pull requests are refused: " + isolation.hostLacks +
         "; `stagectl doctor` tells the way out, docs/isolation.md what that means");
}

int AgentApplication::serve()
try
{
    keepStagesAway();
    for (const auto& warning : _config.warnings)
        warn(warning.describe());
    const std::unique_ptr<TlsContext> tls = tlsContext();
    const std::size_t descriptors = raiseDescriptorLimit();
    // 1 The state folder and the record.
    const StateFolder state(_config.stateDir);
    // Before the record: who disagrees with the configuration shall change nothing.
    PortKeeper keeper(_programs / "stage-shim", state.root(), warn);
    PassedBySystemd passed = PassedBySystemd::take();
    _secrets.rememberIn(SecretMemory(std::move(passed.memory)));
    ListenOptions options = listening();
    options.passed = std::move(passed.sockets);
    options.kept = keeper.takeOver();
    ListeningSockets sockets(std::move(options));
    // Before the first child, whose group would be the unit's own: with a process in it that takes no controllers.
    Cgroup cgroup = Cgroup::open(cgroupName(state.root()));
    keeper.hold(sockets.ownTcp());
    Database database(state.record());
    probeSandbox();
    warnOfIsolation();
    // 2 Plugins and services: a faulty one does not affect the others.
    std::vector<Problem> problems;
    loadPlugins(_plugins, problems);
    const auto loadServices = [&](const ServiceCatalog::IdFor& idFor)
    {
        for (const auto& problem : _services.load(_config.servicesDir, _plugins, idFor,
                                                  _config.secretsDir, _config.isolation))
            error(problem.describe());
        std::set<std::string> names;
        for (const auto& service : _services.all())
            for (auto& name : allSecrets(service->pipeline))
                names.insert(std::move(name));
        for (const auto& line : doubtfulSecrets({names.begin(), names.end()}, _config.secretsDir))
            warn(line);
        for (const auto& doubt : doubtfulNeeds(_services))
            warn(doubt.describe());
    };
    for (const auto& problem : problems)
        error(problem.describe());
    loadServices([&](const std::string& name) { return ServiceIds(database.writer()).of(name); });
    // 3 The engine, which adopts running stages.
    if (!cgroup.available())
        warn("stages have no cgroup of their own (" + cgroup.why() +
             "): no memory, cpu or pids limit is enforced");
    else if (const auto missing = cgroup.missing({.memoryBytes = 1, .cpuPercent = 1, .pids = 1});
             !missing.empty())
        warn("limits not enforced, because cgroup version 2 lacks the controller: " + missing);
    CleanupWorker cleanup(
        state.root(), error,
        {.folders = {state.mirrors() / "mirrors"}, .keepMs = _config.mirrorsKeepMs, .tell = info});
    CacheStore cacheStore(state.root() / "caches");
    const DiskLimits diskLimits{.minFreeBytes = _config.diskMinFree,
                                .minFreeInodes = _config.diskMinFreeInodes};
    const DiskSpace disk(state, diskLimits);
    CacheWorker cacheWorker(cacheStore, {.program = _programs / "stage-cache",
                                         .maxBytes = _config.cachesMaxBytes,
                                         .timeoutMs = _config.cachesTimeoutMs,
                                         .lack = [&disk] { return disk.lack(); },
                                         .info = info,
                                         .warn = warn});
    StageListCache stageLists;
    // Half of the descriptors are for logs, shims and the record: clients never take those.
    const std::size_t share = std::max<std::size_t>(16, descriptors / 4);
    const Engine* asked = nullptr; // while the followers run
    Followers followers({.most = std::min<std::size_t>(2000, share),
                         .log = error,
                         .facts =
                             [&](RecordSession& reader, const Run& run)
                         {
                             const EngineStatus status = asked ? asked->status() : EngineStatus();
                             return RunInquiry(reader, status, _services).of(run);
                         }},
                        database, state);
    ServiceStatus serviceStatus;
    Executions executions(Launcher(_programs / "stage-shim", cgroup, Bond::Outlives, &keeper));
    AccessParts access(accessOptions(), _config.credentialsDir, state, database);
    const std::string url =
        (tls ? "https://" : "http://") + sockets.authority() + _config.httpBasePath;
    const ReportOrigin origin{.source = "/stage-agent/" + hostName(),
                              .url = _config.publicUrl.empty() ? url : _config.publicUrl};
    Subscriptions subscriptions;
    Engine* reported = nullptr; // while the outbox runs
    Outbox outbox({.database = database,
                   .caFile = _config.outboxCaFile,
                   .keepMs = _config.outboxKeepMs,
                   .most = _config.outboxMax,
                   .remove = [&](const std::vector<std::int64_t>& seqs)
                   { commands::removeReports(*reported, seqs); },
                   .removeAll = [&](const std::string& target)
                   { commands::removeReportsOf(*reported, target); },
                   .update = [&](std::int64_t seq, const std::string& body)
                   { commands::updateReport(*reported, seq, body); },
                   .logFolder = [&](const Stage& stage, int attempt)
                   { return state.attempt(stage, attempt); },
                   .log = warn},
                  [&](std::vector<Subscription> list) { subscriptions.set(std::move(list)); });
    const auto loadTargets = [&]
    {
        for (const auto& problem : outbox.load(_config.outboxDir, _config.secretsDir))
            error(problem.describe());
    };
    // Before the engine: what it finds at its start is reported too.
    loadTargets();
    Engine engine(
        {.slots = _config.slots,
         .queueMax = _config.queueMax,
         .disk = diskLimits,
         .stuckAfterMs = _config.stuckAfterMs,
         .stuckAfterByType = _config.stuckAfterByType,
         .retention = {.runsMs = _config.runsKeepMs,
                       .runsCount = _config.runsKeepCount,
                       .workspaceMs = _config.workspaceKeepMs,
                       .artifactsMs = _config.artifactsKeepMs,
                       .plainLogsMs = _config.logsCompressAfterMs},
         .orders = collecting(state, orders(state.mirrors())),
         .reports = {.subscriptions = &subscriptions,
                     .body = [&](const ReportFacts& facts) { return reportJson(facts, origin); }},
         .caches = &cacheWorker},
        database, state, _plugins, _services, executions, cleanup,
        {.changed =
             [&](const std::set<std::string>& runIds)
         {
             for (const auto& id : runIds)
                 stageLists.drop(id);
             followers.changed(runIds);
         },
         .log = error,
         .status = [&] { serviceStatus.changed(); },
         .reported = [&] { outbox.wake(); }});
    engine.start();
    reported = &engine;
    const std::shared_ptr<Outbox> silent(&outbox, [](Outbox* all) { all->stop(); });
    outbox.start();
    const LeftoverFolders leftovers(state, database, cleanup);
    // 4 Followers of logs and events.
    asked = &engine;
    const std::shared_ptr<Followers> ended(&followers, [](Followers* all) { all->stop(); });
    followers.start();
    access.tokens.revoked = [&] { followers.recheck(); };
    access.start(engine);
    Hooks hooks({.engine = engine,
                 .database = database,
                 .services = _services,
                 .plugins = _plugins,
                 .isolation = _config.isolation,
                 .secretsDir = _config.secretsDir,
                 .secret = _config.hookSecret});
    Poller poller({.hooks = hooks,
                   .services = _services,
                   .folder = state.root() / "polled",
                   .gitConfig = _config.gitConfig,
                   .log = warn});
    // 5 The check of the record, and the API.
    RecordCheck recordCheck(state.record(), database.endedUncleanly(), error);
    std::unique_ptr<Guard> guard;
    std::unique_ptr<Routes> routes;
    HttpServer server({.connections = std::min<std::size_t>(4096, share),
                       .basePath = _config.httpBasePath,
                       .tls = tls.get(),
                       .logError = error},
                      sockets.take(),
                      {.answer = [&](Request& request) { return routes->handle(request); },
                       .takesLong = Routes::takesLong,
                       .atOnce = [&](Request& request) { return routes->atOnce(request); }});
    guard = std::make_unique<Guard>(GuardOptions{.address = _config.httpAddress,
                                                 .port = sockets.port(),
                                                 .loopback6 = sockets.loopback6(),
                                                 .hosts = _config.httpHosts});
    routes = std::make_unique<Routes>(
        ApiParts{engine, database, _services, _plugins, state, stageLists, followers, recordCheck,
                 access, outbox, hooks, cacheWorker, _config.metricsPublic, url, tls.get(),
                 _config.isolation,
                 StageDefaults{_secrets, _config.stageTimeoutMs, _config.stageGraceMs}},
        *guard);
    // Stop the engine first: it answers requests that block the server's threads.
    const std::shared_ptr<Engine> stopped(&engine, [](Engine* running) { running->stop(); });
    server.start();
    state.writeAddress(url);
    info("ready: " + url + ", state " + state.root().string() + ", " +
         counted(static_cast<std::size_t>(_config.slots), "slot") + ", " +
         counted(_services.all().size(), "service") + ", " +
         counted(_plugins.all().size(), "plugin"));
    ::sd_notify(0, "READY=1");
    recordCheck.start();
    poller.load();
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
            PluginRegistry plugins;
            std::vector<Problem> faults;
            loadPlugins(plugins, faults);
            for (const auto& problem : faults)
                error(problem.describe());
            _plugins.replaceBy(plugins);
            loadServices([&](const std::string& name)
                         { return commands::serviceId(engine, name); });
            commands::servicesChanged(engine);
            poller.load();
        }
        catch (const std::exception& failure)
        {
            error(std::string("services not reloaded: ") + failure.what());
        }
        loadTargets();
        reloadCertificate(tls.get());
        access.reload();
        info("services reloaded: " + std::to_string(_services.all().size()));
        ::sd_notify(0, "READY=1");
    }
    info("stopping; running stages go on under their shims");
    ::sd_notify(0, "STOPPING=1");
    watchdog.stop();
    serviceStatus.stop();
    state.removeAddress();
    access.stop();
    poller.stop();
    outbox.stop();      // while the engine still records what was confirmed
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
