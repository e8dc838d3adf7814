#include "agent/shim/Verdict.h"

#include <csignal>
#include <cstring>

#include <sys/wait.h>

namespace agent
{
namespace
{

/// stage-plugin-host's word for "the plugin could not be loaded or broke".
constexpr int hostFailed = 120;

/// The room that OutcomeFile reserves holds any message of this length, escapes counted.
constexpr std::size_t maxMessage = 1024;

std::string length(std::int64_t ms)
{
    if (ms > 0 && ms % 60'000 == 0)
        return std::to_string(ms / 60'000) + " min";
    if (ms % 1000 == 0)
        return std::to_string(ms / 1000) + " s";
    return std::to_string(ms) + " ms";
}

std::string signalName(int signal)
{
    const char* name = ::sigabbrev_np(signal);
    return name != nullptr ? "SIG" + std::string(name) : "signal " + std::to_string(signal);
}

void judgeOwnEnd(Outcome& outcome, const Order& order, const Evidence& evidence)
{
    const int status = evidence.commandStatus.value_or(0);
    if (WIFSIGNALED(status))
    {
        outcome.cause = Cause::Signal;
        outcome.signal = WTERMSIG(status);
        outcome.message = "ended by " + signalName(*outcome.signal);
    }
    else
    {
        outcome.cause = Cause::Exit;
        outcome.exitCode = WEXITSTATUS(status);
        if (*outcome.exitCode != 0)
            outcome.message = "exited with code " + std::to_string(*outcome.exitCode);
    }

    if (evidence.oomKilled && outcome.exitCode != 0)
    {
        outcome.cause = Cause::Oom;
        outcome.message = "the kernel killed a process of the stage for memory";
        if (order.limits.memoryBytes > 0)
            outcome.message +=
                "; its limit is " + std::to_string(order.limits.memoryBytes) + " bytes";
    }
    else if (evidence.diskFull && outcome.exitCode != 0)
    {
        outcome.cause = Cause::DiskFull;
        outcome.message += ", while the disk of its workspace was full";
    }
    else if (order.library && outcome.signal)
    {
        outcome.cause = Cause::PluginError;
        outcome.message = "plugin " + order.plugin + " crashed: " + signalName(*outcome.signal);
    }
    else if (order.library && outcome.exitCode == hostFailed)
    {
        outcome.cause = Cause::PluginError;
        outcome.message =
            "plugin " + order.plugin + " could not be loaded or broke; its log says why";
    }
}

std::string describeEnd(Cause cause, const Order& order, const Evidence& evidence)
{
    switch (cause)
    {
    case Cause::Timeout:
        return "ran past its timeout of " + length(order.timeoutMs);
    case Cause::Silent:
        return "printed nothing for " + length(order.silenceMs);
    case Cause::DiskFull:
        return "its log could not be written: " + std::string(std::strerror(evidence.logError));
    default:
        return "stopped";
    }
}

} // namespace

bool endedByTerm(int status)
{
    return (WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM) ||
           (WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGTERM);
}

void judge(Outcome& outcome, const Order& order, const Evidence& evidence)
{
    if (!evidence.pluginProblem.empty())
    {
        outcome.cause = Cause::PluginError;
        outcome.message = evidence.pluginProblem;
    }
    else if (!evidence.spawnFailure.empty())
    {
        outcome.cause = Cause::SpawnError;
        outcome.message = evidence.spawnFailure;
    }
    else if (evidence.ended)
    {
        outcome.cause = *evidence.ended;
        outcome.message = describeEnd(outcome.cause, order, evidence);
        if (evidence.outlivedGrace)
            outcome.message += "; killed, as it did not end within " + length(order.graceMs);
    }
    else
        judgeOwnEnd(outcome, order, evidence);

    // The command's end is true all the same, but its log is not whole.
    if (evidence.logError != 0 && outcome.cause != Cause::DiskFull)
        outcome.notes.push_back(Cause::DiskFull);
    if (outcome.message.size() > maxMessage)
        outcome.message.resize(maxMessage);
}

void judgeFiles(Outcome& outcome, const CollectOrder& order, bool artifacts,
                const Collected& collected)
{
    outcome.tests = collected.tests;
    const bool kept = collected.artifacts && collected.artifacts->files > 0;
    if (kept)
        outcome.artifacts = collected.artifacts;
    if (collected.problem.empty())
        return;
    if (artifacts && order.required && !kept && outcome.succeeded())
        outcome.cause = Cause::Artifacts;
    else
        outcome.notes.push_back(Cause::Artifacts);
    outcome.message += (outcome.message.empty() ? "" : "; ") + ("files: " + collected.problem);
    if (outcome.message.size() > maxMessage)
        outcome.message.resize(maxMessage);
}

} // namespace agent
