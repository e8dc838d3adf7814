#include "agent/shim/ChildProcess.h"

#include "agent/os/Clone.h"
#include "agent/shim/IgnoredSignals.h"
#include "agent/shim/OomScore.h"
#include "agent/wire/ExecError.h"
#include "agent/wire/Failpoint.h"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <string_view>

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace agent
{

/// What the child needs, made before the clone: it allocates nothing.
struct ChildProcess::Start
{
    const ChildProcess* child = nullptr;
    const Descriptors* descriptors = nullptr;
    int failure = -1;
    pid_t parent = 0;
    bool inCgroup = false;
};

namespace
{

constexpr const char* defaultPath = "/usr/local/bin:/usr/bin:/bin";

std::string describe(const std::string& what, int error)
{
    return what + ": " + std::strerror(error);
}

/// What environ's `PATH=…` says.
std::string_view pathIn(const std::vector<std::string>& env)
{
    constexpr std::string_view name = "PATH=";
    for (const std::string_view variable : env)
        if (variable.starts_with(name))
            return variable.substr(name.size());
    return defaultPath;
}

} // namespace

std::string toText(const Invocation& invocation)
{
    std::string text = std::to_string(invocation.argv.size()) + '\0';
    for (const auto& argument : invocation.argv)
        text.append(argument).push_back('\0');
    text.append(invocation.cwd).push_back('\0');
    text.append(std::to_string(invocation.umask)).push_back('\0');
    text.append(invocation.prepares ? "1" : "0").push_back('\0');
    for (const auto& variable : invocation.env)
        text.append(variable).push_back('\0');
    return text;
}

Invocation invocationFrom(const std::string& text)
{
    Invocation invocation;
    std::string_view rest = text;
    const auto next = [&rest]
    {
        const std::string_view part = rest.substr(0, rest.find('\0'));
        rest.remove_prefix(std::min(part.size() + 1, rest.size()));
        return part;
    };
    const std::string_view count = next();
    std::size_t arguments = 0;
    std::from_chars(count.data(), count.data() + count.size(), arguments);
    while (invocation.argv.size() < arguments && !rest.empty())
        invocation.argv.emplace_back(next());
    invocation.cwd = next();
    const std::string_view umask = next();
    std::from_chars(umask.data(), umask.data() + umask.size(), invocation.umask);
    invocation.prepares = next() == "1";
    while (!rest.empty())
        invocation.env.emplace_back(next());
    return invocation;
}

ChildProcess::ChildProcess(Invocation invocation, Signals blocked)
    : _invocation(std::move(invocation)), _blocked(blocked)
{
    for (std::string& variable : _invocation.env)
        _envp.push_back(variable.data());
    _envp.push_back(nullptr);
    for (std::string& argument : _invocation.argv)
        _argv.push_back(argument.data());
    _argv.push_back(nullptr);
}

bool ChildProcess::findProgram()
{
    if (_invocation.argv.empty() || _invocation.argv.front().empty())
    {
        _failure = "the order names no command";
        return false;
    }
    const std::string& name = _invocation.argv.front();
    if (name.find('/') != std::string::npos)
    {
        _program = name; // a relative one counts from the command's own folder
        return true;
    }
    std::string_view rest = pathIn(_invocation.env);
    int error = ENOENT;
    for (bool more = true; more;)
    {
        const std::size_t colon = rest.find(':');
        more = colon != std::string_view::npos;
        std::string folder(rest.substr(0, colon));
        rest.remove_prefix(more ? colon + 1 : rest.size());
        if (!folder.starts_with('/'))
            folder.insert(0, "/").insert(0, _invocation.cwd);
        std::string candidate = folder.append("/").append(name);
        struct stat info = {};
        if (::stat(candidate.c_str(), &info) != 0 || !S_ISREG(info.st_mode))
            continue;
        if (::access(candidate.c_str(), X_OK) == 0)
        {
            _program = std::move(candidate);
            return true;
        }
        error = EACCES;
    }
    _failure = describe("cannot execute '" + name + "'", error);
    return false;
}

bool ChildProcess::start(const Descriptors& descriptors, int cgroup)
{
    if (!findProgram())
        return false;
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0 || ::fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0)
    {
        _failure = describe("cannot make a pipe", errno);
        return false;
    }
    _failurePipe = FileDescriptor(ends[0]);
    const FileDescriptor low(ends[1]);
    // Above what `descriptors.more` become: the child must not overwrite it.
    const FileDescriptor failure(::fcntl(low.get(), F_DUPFD_CLOEXEC, 64));

    FAILPOINT("shim.fork.before");
    Start start{.child = this,
                .descriptors = &descriptors,
                .failure = failure.get(),
                .parent = ::getpid(),
                .inCgroup = cgroup >= 0};
    const OomScore::OfACommand score;
    clone_args args{};
    if (cgroup >= 0)
    {
        args.flags = CLONE_INTO_CGROUP;
        args.cgroup = static_cast<unsigned>(cgroup);
        _pid = cloneShared(args, run, &start);
        _inCgroup = _pid >= 0;
    }
    // The limits of the group or the host are reached: a second try would only hide it.
    const bool exhausted = cgroup >= 0 && _pid < 0 && (errno == EAGAIN || errno == ENOMEM);
    if (_pid < 0 && !exhausted)
    {
        start.inCgroup = false;
        _pid = cloneShared({}, run, &start);
    }
    if (_pid < 0)
    {
        _failure = describe("cannot start a process", errno);
        return false;
    }
    FAILPOINT("shim.fork.after");
    return true;
}

/// The child's half: system calls only, as it runs on its parent's memory.
int ChildProcess::run(void* argument)
{
    const Start& start = *static_cast<const Start*>(argument);
    const ChildProcess& child = *start.child;
    const auto fail = [&start](int step)
    {
        const ExecError error{.step = step, .error = errno};
        return ::write(start.failure, &error, sizeof error) == sizeof error ? 127 : 126;
    };

    ::setsid();
    // Handlers were reset by the clone; these are all that the shim ignores.
    struct sigaction standard = {};
    standard.sa_handler = SIG_DFL;
    for (const int signal : ignoredSignals)
        ::sigaction(signal, &standard, nullptr);
    sigset_t blocked;
    ::sigemptyset(&blocked);
    if (child._blocked == Signals::Ends)
        for (const int signal : {SIGTERM, SIGHUP, SIGINT, SIGQUIT})
            ::sigaddset(&blocked, signal);
    ::sigprocmask(SIG_SETMASK, &blocked, nullptr);
    if (!start.inCgroup)
    {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != start.parent)
            return 127; // it died before the line above
    }
    ::umask(child._invocation.umask);
    const rlimit noCore{};
    ::setrlimit(RLIMIT_CORE, &noCore);
    if (::dup2(start.descriptors->output, STDOUT_FILENO) < 0 ||
        ::dup2(start.descriptors->errors, STDERR_FILENO) < 0)
        return fail(ExecError::Setup);
    int next = STDERR_FILENO + 1;
    for (const int descriptor : start.descriptors->more)
        if (::dup2(descriptor, next++) < 0)
            return fail(ExecError::Setup);
    if (child._invocation.prepares && ::dup2(start.failure, next++) < 0)
        return fail(ExecError::Setup);
    ::syscall(SYS_close_range, static_cast<unsigned>(next), ~0U, CLOSE_RANGE_CLOEXEC);
    const std::string& cwd = child._invocation.cwd;
    if (!cwd.empty() && ::chdir(cwd.c_str()) != 0)
        return fail(ExecError::Folder);
    ::execve(child._program.c_str(), child._argv.data(), child._envp.data());
    return fail(ExecError::Exec);
}

const std::string& ChildProcess::failure()
{
    ExecError error;
    if (_failure.empty() && _failurePipe.valid() &&
        ::read(_failurePipe.get(), &error, sizeof error) == sizeof error)
    {
        if (error.step == ExecError::Folder)
            _failure = describe("cannot enter '" + _invocation.cwd + "'", error.error);
        else if (error.step == ExecError::Exec)
            _failure = describe("cannot execute '" + _invocation.argv.front() + "'", error.error);
        else if (error.step == ExecError::ExecOfCommand && _invocation.argv.size() > 2)
            _failure = describe("cannot execute '" + _invocation.argv[2] + "'", error.error);
        else
            _failure = describe("cannot set up the command's output", error.error);
    }
    return _failure;
}

} // namespace agent
