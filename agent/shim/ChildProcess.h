#pragma once

#include "agent/os/FileDescriptor.h"

#include <string>
#include <vector>

#include <sys/types.h>

namespace agent
{

/// What a process executes.
struct Invocation
{
    std::vector<std::string> argv; ///< argv[0] without a slash is looked up in env's PATH
    std::vector<std::string> env;  ///< each NAME=VALUE
    std::string cwd;               ///< empty: ours
    unsigned umask = 022;          ///< not ours, which keeps the files of the attempt private
    bool prepares = false; ///< it is `stage-cache restore COMMAND…`, which becomes COMMAND
};

/// A text of `invocation` that invocationFrom() reads back; nothing in it holds a NUL.
std::string toText(const Invocation& invocation);
Invocation invocationFrom(const std::string& text);

/// A process that executes a command, alone in a new session.
class ChildProcess
{
public:
    /// Descriptors that it gets. All of them stay open here.
    struct Descriptors
    {
        int output = -1;       ///< its stdout
        int errors = -1;       ///< its stderr
        std::vector<int> more; ///< its 3, 4, …; each of them here above what it becomes there
    };

    /// Which signals it begins with blocked.
    enum class Signals
    {
        None,
        Ends ///< TERM, HUP, INT and QUIT: only what it starts shall end by them
    };

    explicit ChildProcess(Invocation invocation, Signals blocked = Signals::None);

    /// Starts it: /dev/null stays on stdin, nothing else inherited but `descriptors`, environment and folder; in
    /// `cgroup` (-1: none) from its first instruction on.
    /// Errors: false where there is no process; failure() says why. A failure later than that shows in failure()
    /// once the child is reaped.
    bool start(const Descriptors& descriptors, int cgroup);

    [[nodiscard]] pid_t pid() const { return _pid; }

    /// Whether the kernel took it into the cgroup.
    [[nodiscard]] bool inCgroup() const { return _inCgroup; }

    /// What kept it from being executed; empty when it was. To be asked when it was reaped.
    [[nodiscard]] const std::string& failure();

private:
    struct Start;

    [[nodiscard]] bool findProgram();
    static int run(void* start);

    Invocation _invocation;
    Signals _blocked;
    std::string _program; ///< argv[0] as a path
    std::vector<char*> _argv;
    std::vector<char*> _envp;
    pid_t _pid = -1;
    bool _inCgroup = false;
    FileDescriptor _failurePipe;
    std::string _failure;
};

} // namespace agent
