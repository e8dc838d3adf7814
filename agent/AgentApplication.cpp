#include "agent/AgentApplication.h"

#include "agent/Lint.h"
#include "agent/doctor/Doctor.h"
#include "agent/doctor/SandboxProbe.h"
#include "agent/exec/ExecStage.h"
#include "agent/model/Id.h"
#include "agent/outbox/TargetSpec.h"
#include "agent/run/NeedChecks.h"
#include "agent/run/PipelineSchema.h"

#include <Poco/Exception.h>
#include <Poco/Util/HelpFormatter.h>
#include <Poco/Util/Option.h>
#include <Poco/Util/OptionSet.h>

#include <cstdlib>
#include <iostream>

namespace agent
{

using Poco::Util::Option;

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
    options.addOption(Option("lint", "",
                             "check a pipeline file of a repository, then exit; what `stagectl "
                             "lint` does")
                          .argument("FILE"));
    options.addOption(
        Option("lint-service", "", "with --lint: by the rules of this service").argument("NAME"));
    options.addOption(
        Option("pipeline-schema", "", "print the JSON Schema of such a file, then exit"));
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
    _schema = _schema || name == "pipeline-schema";
    _exec.take(name, value);
    if (name == "lint")
        _lint = value;
    if (name == "lint-service")
        _lintService = value;
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
    if (_schema)
    {
        std::cout << pipelineSchema() << std::flush;
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
    _secrets = _config.secretsDir;
    if (_doctor)
        return examineHost(problems);
    if (!_lint.empty() && problems.empty())
        return lintFile();
    if (!problems.empty())
    {
        for (const auto& problem : problems)
            std::cerr << "stage-agent: " << problem.describe() << '\n';
        return exitConfig;
    }
    return _check ? check() : serve();
}

void AgentApplication::loadPlugins(PluginRegistry& plugins, std::vector<Problem>& problems) const
{
    plugins.load(_programs / "plugins", problems);
    std::error_code error;
    if (std::filesystem::is_directory(_config.pluginsDir, error))
        plugins.load(_config.pluginsDir, problems);
}

std::string AgentApplication::counted(std::size_t number, const std::string& what)
{
    return std::to_string(number) + " " + what + (number == 1 ? "" : "s");
}

int AgentApplication::check()
{
    std::vector<Problem> problems;
    probeSandbox();
    loadPlugins(_plugins, problems);
    const auto found = _services.load(
        _config.servicesDir, _plugins, [](const std::string& name) { return name; },
        _config.secretsDir, _config.isolation);
    problems.insert(problems.end(), found.begin(), found.end());
    std::vector<std::string> refused;
    (void)readTargets(_config.outboxDir, _config.secretsDir, problems, refused);
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
    for (const auto& warning : doubtfulNeeds(_services))
        std::cerr << "stage-agent: warning: " << warning.describe() << '\n';
    for (const auto& problem : problems)
        std::cerr << "stage-agent: " << problem.describe() << '\n';
    std::cout << counted(_plugins.all().size(), "plugin") << ", "
              << counted(_services.all().size(), "service") << ", "
              << counted(problems.size(), "problem") << std::endl;
    return problems.empty() ? 0 : exitConfig;
}

int AgentApplication::lintFile()
{
    constexpr int usage = 2;
    std::vector<Problem> problems;
    loadPlugins(_plugins, problems);
    if (_lintService.empty())
        return lint(_lint, nullptr, _plugins, _config.stageTimeoutMs);
    const auto told = _services.load(
        _config.servicesDir, _plugins, [](const std::string& name) { return name; }, {},
        _config.isolation);
    const auto service = _services.find(_lintService);
    if (service && service->pipeline.file)
        return lint(_lint, service.get(), _plugins, _config.stageTimeoutMs);
    std::cerr << "there is no service '" << _lintService << "' with the key pipeline in "
              << _config.servicesDir.string() << '\n';
    for (const auto& problem : told)
        std::cerr << problem.describe() << '\n';
    return usage;
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

void AgentApplication::probeSandbox()
{
    IsolationPolicy& isolation = _config.isolation;
    isolation.bubblewrap = doctor::bubblewrap();
    isolation.shown = {_programs.string()};
    if (const auto lack = doctor::sandboxLack(_programs / "stage-shim", isolation.bubblewrap);
        !lack.empty())
        isolation.withoutSandbox(lack, _config.isolationChosen);
}

OrderDefaults AgentApplication::orders(const std::filesystem::path& mirrors) const
{
    return {.timeoutMs = _config.stageTimeoutMs,
            .graceMs = _config.stageGraceMs,
            .logMaxBytes = _config.logMaxBytes,
            .pluginHost = _programs / "stage-plugin-host",
            .cacheProgram = _programs / "stage-cache",
            .mirrors = mirrors,
            .secrets = _secrets,
            .gitConfig = _config.gitConfig,
            .inherited = InheritedEnvironment::ofThisProcess(),
            .umask = _umask,
            .isolation = _config.isolation};
}

int AgentApplication::exec(const std::vector<std::string>& args)
try
{
    _exec.check(args);
    std::vector<Problem> problems;
    _config = readConfig(_file, _definitions, problems);
    _secrets = _config.secretsDir;
    for (const auto& problem : problems)
        tellExec(problem.describe());
    if (!problems.empty())
        return static_cast<int>(ExecExit::Usage);
    probeSandbox();
    loadPlugins(_plugins, problems);
    if (const auto& lack = _config.isolation.hostLacks; !lack.empty() && !_config.isolationChosen)
        tellExec("no stage is kept apart from this host: " + lack);
    // Generated service ids are in the daemon's record, which is not read here.
    const auto found = _services.load(
        _config.servicesDir, _plugins, [](const std::string&) { return newId(); },
        _config.secretsDir, _config.isolation);
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

} // namespace agent
