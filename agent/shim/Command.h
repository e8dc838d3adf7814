#pragma once

#include "agent/os/FileDescriptor.h"
#include "agent/wire/Order.h"

#include <csignal>
#include <map>
#include <string>

#include <sys/types.h>

namespace agent
{

/// What the shim ignores and its command does not.
constexpr int ignoredSignals[] = {SIGPIPE, SIGHUP,  SIGINT,  SIGQUIT,
                                  SIGXFSZ, SIGUSR1, SIGUSR2, SIGALRM};

/// The stage's command: the one child that the shim starts.
class Command
{
public:
    /// `secrets` join the order's environment; where both have a name, the secret is taken.
    Command(const Order& order, const std::map<std::string, std::string>& secrets);

    /// Starts it: own session, /dev/null on stdin, pipes on stdout and stderr, nothing else inherited
    /// but environment and folder; in `cgroup` (-1: none) from its first instruction on.
    /// Errors: false where there is no process; failure() says why. A failure later than that
    /// shows in failure() once the child is reaped.
    bool start(int cgroup);

    [[nodiscard]] pid_t pid() const { return _pid; }

    /// Whether the kernel took it into the cgroup.
    [[nodiscard]] bool inCgroup() const { return _inCgroup; }

    /// Read ends of its stdout and stderr, non-blocking.
    [[nodiscard]] FileDescriptor& output() { return _output; }
    [[nodiscard]] FileDescriptor& errors() { return _errors; }

    /// What kept it from being executed; empty when it was. To be asked when it was reaped.
    [[nodiscard]] std::string failure();

private:
    struct ExecError;
    struct Start;

    [[nodiscard]] bool findProgram();
    static int runChild(void* start);

    const Order& _order;
    std::map<std::string, std::string> _env;
    std::string _program; ///< argv[0] as a path
    std::vector<char*> _argv;
    std::vector<std::string> _envTexts;
    std::vector<char*> _envp;
    pid_t _pid = -1;
    bool _inCgroup = false;
    FileDescriptor _output;
    FileDescriptor _errors;
    FileDescriptor _failurePipe;
    std::string _failure;
};

} // namespace agent
