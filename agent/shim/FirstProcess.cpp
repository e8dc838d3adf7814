#include "agent/shim/FirstProcess.h"

#include "agent/os/Files.h"
#include "agent/shim/ChildProcess.h"
#include "agent/shim/LeftBehind.h"
#include "agent/shim/Sandbox.h"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <string>

#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace agent
{
namespace
{

/// Of Linux 6.12 (linux/landlock.h): what a process of the sandbox can't reach outside of it.
struct LandlockRuleset
{
    std::uint64_t files = 0;
    std::uint64_t network = 0;
    std::uint64_t scoped = 0;
};
constexpr std::uint64_t scopeAbstractSockets = 1;
constexpr std::uint64_t scopeSignals = 2;

/// What namespaces leave open. Abstract Unix sockets belong to the network, which may be the host's: kernels before
/// 6.12 can't close them. The keys of the agent's session would be shared by all stages.
void closeTheRest()
{
    const LandlockRuleset scopes{.scoped = scopeAbstractSockets | scopeSignals};
    const long ruleset = ::syscall(SYS_landlock_create_ruleset, &scopes, sizeof scopes, 0);
    if (ruleset >= 0)
    {
        ::syscall(SYS_landlock_restrict_self, ruleset, 0);
        ::close(static_cast<int>(ruleset));
    }
    ::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr);
}

void tell(sandboxed::Kind kind, int status, const std::string& text)
{
    const sandboxed::Report report{.kind = kind, .status = status};
    std::string bytes(reinterpret_cast<const char*>(&report), sizeof report);
    (void)writeAll(sandboxed::report, bytes += text); // one write: it is less than PIPE_BUF
}

bool stageIsToEnd()
{
    char said = sandboxed::goesOn;
    return ::pread(sandboxed::invocation, &said, 1, 0) == 1 && said == sandboxed::isToEnd;
}

/// Waits for the command as first process, which inherits every orphan; where the stage is to end, for all that it
/// leaves behind too. Returns the command's wait status.
int await(pid_t command)
{
    int ofCommand = 0;
    for (bool over = false; !over;)
    {
        int status = 0;
        const pid_t ended = ::waitpid(-1, &status, 0);
        if (ended == command)
        {
            ofCommand = status;
            over = !stageIsToEnd();
        }
        else if (ended < 0 && errno != EINTR)
            over = true; // none is left
    }
    return ofCommand;
}

/// What the command left behind in this pid namespace, where pids are those that the stage knows.
std::string leftBehind()
{
    siginfo_t child{};
    if (::waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) != 0)
        return {}; // no child: every orphan would be one
    auto others = allProcesses();
    std::erase_if(others, [](const ProcessStat& one) { return one.pid == ::getpid(); });
    return leftBehindLine(others);
}

} // namespace

int runFirstProcess()
{
    ::prctl(PR_SET_DUMPABLE, 0);
    ::prctl(PR_SET_NAME, "stage-shim");
    sigset_t all;
    ::sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, nullptr);
    ::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
    closeTheRest();

    ::lseek(sandboxed::invocation, 1, SEEK_SET);
    ChildProcess command(invocationFrom(readAll(sandboxed::invocation).value_or("")));
    if (!command.start({.output = sandboxed::output, .errors = sandboxed::errors, .more = {}}, -1))
    {
        tell(sandboxed::Kind::Failed, 0, command.failure());
        return 0;
    }
    for (const int given : {sandboxed::output, sandboxed::errors, sandboxed::program})
        ::close(given);
    // TERM was sent before there was a command, or to it too: once more does no harm. To all, for it may have a
    // child by now.
    if (stageIsToEnd())
        ::kill(-1, SIGTERM);

    const int status = await(command.pid());
    const std::string failure = command.failure();
    if (failure.empty())
        tell(sandboxed::Kind::Ended, status, stageIsToEnd() ? "" : leftBehind());
    else
        tell(sandboxed::Kind::Failed, status, failure);
    return 0;
}

} // namespace agent
