#include "agent/exec/ExecStage.h"

#include "agent/ctl/Text.h"
#include "agent/exec/ExecFolder.h"
#include "agent/exec/ExecLog.h"
#include "agent/exec/WorkspaceCopy.h"
#include "agent/plugin/PluginRegistry.h"
#include "agent/run/Executions.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <iostream>
#include <sstream>

#include <sys/signalfd.h>
#include <unistd.h>

namespace agent
{

namespace
{

/// One press of a key, a hangup, or a timeout may send several signals, or break our output too.
constexpr std::chrono::milliseconds oneAsk{200};

/// Without those that are ignored, as under nohup.
sigset_t endingSignals()
{
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT})
    {
        struct sigaction now = {};
        if (::sigaction(signal, nullptr, &now) == 0 && now.sa_handler != SIG_IGN)
            sigaddset(&set, signal);
    }
    return set;
}

/// `cause EXIT, exit code 3: exited with code 3`
std::string inWords(const Outcome& outcome)
{
    std::string words = "cause " + std::string(toString(outcome.cause));
    if (outcome.exitCode)
        words += ", exit code " + std::to_string(*outcome.exitCode);
    if (outcome.signal)
        words += ", signal " + std::to_string(*outcome.signal);
    for (const Cause note : outcome.notes)
        words += ", " + std::string(toString(note));
    return words + (outcome.message.empty() ? "" : ": " + outcome.message);
}

/// One run of the plan's stages.
class Execution
{
public:
    Execution(ExecPlan plan, const ExecRequest& request, const PluginRegistry& plugins,
              const ExecFolder& folder, const OrderDefaults& defaults, Launcher launcher)
        : _plan(std::move(plan)),
          _request(request),
          _plugins(plugins),
          _folder(folder),
          _defaults(defaults),
          _executions(std::move(launcher))
    {
        const sigset_t set = endingSignals();
        _signals = FileDescriptor(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
        _executions.events().alsoWakeOn(_signals.get());
        _executions.events().alsoWakeOnRoom(STDOUT_FILENO);
        _executions.events().alsoWakeOnRoom(STDERR_FILENO);
    }
    ~Execution() { _executions.close(); }
    Execution(const Execution&) = delete;
    Execution& operator=(const Execution&) = delete;

    ExecExit run()
    {
        for (const int ordinal : _plan.toRun)
        {
            Stage& stage = _plan.stages.at(static_cast<std::size_t>(ordinal));
            const bool asked = ordinal == _plan.toRun.back();
            takeSignals();
            const bool good = _asks == 0 && execute(stage, asked ? STDOUT_FILENO : STDERR_FILENO);
            if (_asks > 0)
                return ExecExit::Interrupted;
            if (asked && _outputError != 0)
                return _outputError == EPIPE ? ExecExit::NobodyReads : ExecExit::Usage;
            if (!good && !asked)
                tellExec("so the stage that was asked for is not executed");
            if (!good)
                return ExecExit::Failed;
        }
        return ExecExit::Succeeded;
    }

private:
    /// Returns whether it ended well.
    bool execute(Stage& stage, int output)
    {
        stage.attempt = 1;
        const auto folder = _folder.attempt(stage);
        const Order order = orderOf(stage, folder);
        tellExec(_plan.run.serviceName + ": " + stage.name + " (" + stage.plugin + ") in " +
                 order.cwd);
        for (const NeedSpec& need : _plan.specOf(stage).needs)
            tellExec("what it needs of other services is not copied here: put '" + need.artifacts +
                     "' of " + need.service + " to " + need.to +
                     " yourself, as with stagectl artifacts");
        if (const auto missing = _executions.missing(order.limits); !missing.empty())
            tellExec("limits that nothing holds here: " + missing);
        _executions.launch(folder, order, _defaults.secrets);
        const Finished finished = awaitEnd(order, folder, output);
        _executions.forget(finished);
        Outcome outcome = finished.outcome;

        bool good = outcome.succeeded();
        try
        {
            if (good)
                takeOutputs(_plan.run, stage, {}, folder, allSecrets(_plan.pipeline),
                            _defaults.secrets);
        }
        catch (const std::runtime_error& error)
        {
            good = false;
            outcome.cause = Cause::PluginError;
            outcome.message = error.what();
        }
        outcome.message = masked(outcome.message, allSecrets(_plan.pipeline), _defaults.secrets);
        tellExec(stage.name + " ended in " +
                 std::string(toString(good ? Status::Success : Status::Failure)) + " after " +
                 ctl::durationTextMs(outcome.durationMs) + ": " + inWords(outcome));
        return good;
    }

    [[nodiscard]] Order orderOf(const Stage& stage, const std::filesystem::path& folder) const
    {
        return buildOrder(
            {.run = _plan.run,
             .stage = stage,
             .spec = _plan.specOf(stage),
             .pipeline = _plan.pipeline,
             .plugin = *_plugins.find(stage.plugin), // it was there for the plan
             .outputs = outputsBefore(stage.ordinal, _plan.stages),
             .workspace = _request.workspace.empty() ? _folder.workspace() : _request.workspace,
             .attemptFolder = folder},
            _defaults);
    }

    /// Copies the log until the attempt has ended and all of it was read, or nobody wants it any more.
    Finished awaitEnd(const Order& order, const std::filesystem::path& folder, int output)
    {
        ExecLog log(folder, output, _request.raw);
        if (log.descriptor() >= 0)
            _executions.events().alsoWakeOn(log.descriptor());
        std::optional<Finished> end;
        int heeded = 0;
        while (true)
        {
            for (auto& finished : _executions.wait(log.pause()))
                end = std::move(finished);
            for (const auto& stage : _executions.takeUnkillable())
                tellExec(stage.processes);
            log.copy(end.has_value());
            takeSignals();
            if (log.error() != 0 && output == STDOUT_FILENO && _outputError == 0)
                outputFailed(log.error());
            const int asks = _asks + (_brokeFirst ? 1 : 0);
            if (!end)
                heed(order, asks, heeded);
            else if (log.drained() || log.error() != 0 || (asks > 0 && log.blocked()))
                break;
        }
        const bool together = output == STDERR_FILENO ||
                              (::isatty(STDOUT_FILENO) != 0 && ::isatty(STDERR_FILENO) != 0);
        if (together && log.withinLine())
            std::cerr << std::endl;
        return *end;
    }

    /// The first time stops the stage, the second kills it.
    void heed(const Order& order, int asks, int& heeded)
    {
        if (asks > 0 && heeded == 0)
        {
            _executions.stop(order.stageId, order.graceMs);
            heeded = 1;
            tellExec("stopping; it has " + ctl::durationTextMs(order.graceMs) +
                     " to end by itself. Once more: kill it now");
        }
        if (asks > 1 && heeded == 1)
        {
            _executions.killNow(order.stageId);
            heeded = 2;
            tellExec("killing");
        }
    }

    void takeSignals()
    {
        signalfd_siginfo signal{};
        while (::read(_signals.get(), &signal, sizeof signal) == sizeof signal)
        {
            const auto now = std::chrono::steady_clock::now();
            if (_asks == 0 || now >= _askedAt + oneAsk)
            {
                ++_asks;
                _askedAt = now;
            }
        }
    }

    void outputFailed(int error)
    {
        _outputError = error;
        _brokeFirst = _asks == 0; // after a signal it is no further wish: who read was ended too
        if (error != EPIPE)
            tellExec(std::string("standard output can't be written: ") + std::strerror(error));
    }

    ExecPlan _plan;
    const ExecRequest& _request;
    const PluginRegistry& _plugins;
    const ExecFolder& _folder;
    const OrderDefaults& _defaults;
    Executions _executions;
    FileDescriptor _signals;
    int _asks = 0; ///< how often we were asked to end
    std::chrono::steady_clock::time_point _askedAt;
    bool _brokeFirst = false; ///< nobody reads any more, and nobody had asked before
    int _outputError = 0;
};

/// Errors: ExecRefusal Usage.
void fillWorkspace(const std::filesystem::path& from, const ExecFolder& folder)
{
    tellExec("copies " + from.string());
    std::filesystem::create_directory(folder.workspace());
    try
    {
        copyWorkspace(from, folder.workspace());
    }
    catch (const std::system_error& error)
    {
        throw ExecRefusal(ExecExit::Usage, error.what());
    }
}

} // namespace

ExecExit execStage(ExecPlan plan, const ExecRequest& request, const PluginRegistry& plugins,
                   const std::filesystem::path& shim, OrderDefaults defaults)
{
    const sigset_t set = endingSignals();
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    ExecFolder folder;
    if (request.keep)
        folder.keep();
    defaults.mirrors = folder.mirrors();
    std::filesystem::create_directory(folder.mirrors());
    defaults.isolation.hidden.push_back(folder.path().string());
    if (!request.from.empty())
        fillWorkspace(request.from, folder);
    const Cgroup cgroup = Cgroup::open("exec-" + std::to_string(::getpid()), true);
    if (!cgroup.available())
        tellExec("the stage gets no cgroup of its own (" + cgroup.why() + ")");
    const ExecExit exit = Execution(std::move(plan), request, plugins, folder, defaults,
                                    Launcher(shim, cgroup, Bond::EndsWithUs))
                              .run();
    if (request.keep)
    {
        tellExec("kept " + folder.path().string());
        return exit;
    }
    for (const auto& [name, why] : folder.remove())
        tellExec("can't remove " + (folder.path() / name).string() + ": " + why);
    return exit;
}

void tellExec(const std::string& text)
{
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);)
        std::cerr << "exec: " << ctl::visible(line) << std::endl;
}

} // namespace agent
