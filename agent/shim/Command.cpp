#include "agent/shim/Command.h"

#include "agent/os/Clone.h"
#include "agent/wire/Failpoint.h"

#include <cerrno>
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

/// What the child sends through a pipe that its exec closes: only so can a command that is not there be
/// told from one that exits with 127.
struct Command::ExecError
{
    enum Step : int
    {
        Setup,
        Folder,
        Exec
    };

    int step = Setup;
    int error = 0;
};

/// What the child needs, made before the clone: it allocates nothing.
struct Command::Start
{
    const Command* command = nullptr;
    int output = -1;
    int errors = -1;
    int failure = -1;
    pid_t shim = 0;
    bool inCgroup = false;
};

namespace
{

/// The largest that every user may have; a command that writes much blocks less often.
constexpr int pipeBytes = 1024 * 1024;

constexpr const char* defaultPath = "/usr/local/bin:/usr/bin:/bin";

struct Pipe
{
    FileDescriptor readEnd;
    FileDescriptor writeEnd;
};

bool open(Pipe& pipe)
{
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
        return false;
    pipe.readEnd = FileDescriptor(ends[0]);
    pipe.writeEnd = FileDescriptor(ends[1]);
    return ::fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0;
}

std::string describe(const std::string& what, int error)
{
    return what + ": " + std::strerror(error);
}

} // namespace

Command::Command(const Order& order, const std::map<std::string, std::string>& secrets)
    : _order(order), _env(secrets)
{
    _env.insert(order.env.begin(), order.env.end());
    for (const auto& [name, value] : _env)
        _envTexts.push_back(std::string(name).append("=").append(value));
    for (std::string& text : _envTexts)
        _envp.push_back(text.data());
    _envp.push_back(nullptr);
    for (const std::string& argument : order.argv)
        _argv.push_back(const_cast<char*>(argument.c_str()));
    _argv.push_back(nullptr);
}

bool Command::findProgram()
{
    if (_order.argv.empty() || _order.argv.front().empty())
    {
        _failure = "the order names no command";
        return false;
    }
    const std::string& name = _order.argv.front();
    if (name.find('/') != std::string::npos)
    {
        _program = name; // a relative one counts from the command's own folder
        return true;
    }
    const auto path = _env.find("PATH");
    std::string_view rest = defaultPath;
    if (path != _env.end())
        rest = path->second;
    int error = ENOENT;
    for (bool more = true; more;)
    {
        const std::size_t colon = rest.find(':');
        more = colon != std::string_view::npos;
        std::string folder(rest.substr(0, colon));
        rest.remove_prefix(more ? colon + 1 : rest.size());
        if (!folder.starts_with('/'))
            folder.insert(0, "/").insert(0, _order.cwd);
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

bool Command::start(int cgroup)
{
    if (!findProgram())
        return false;

    Pipe output;
    Pipe errors;
    Pipe failure;
    if (!open(output) || !open(errors) || !open(failure))
    {
        _failure = describe("cannot make a pipe", errno);
        return false;
    }
    ::fcntl(output.readEnd.get(), F_SETPIPE_SZ, pipeBytes);
    ::fcntl(errors.readEnd.get(), F_SETPIPE_SZ, pipeBytes);

    FAILPOINT("shim.fork.before");
    Start start{.command = this,
                .output = output.writeEnd.get(),
                .errors = errors.writeEnd.get(),
                .failure = failure.writeEnd.get(),
                .shim = ::getpid(),
                .inCgroup = cgroup >= 0};
    clone_args args{};
    if (cgroup >= 0)
    {
        args.flags = CLONE_INTO_CGROUP;
        args.cgroup = static_cast<unsigned>(cgroup);
        _pid = cloneShared(args, runChild, &start);
        _inCgroup = _pid >= 0;
    }
    // The limits of the group or the host are reached: a second try would only hide it.
    const bool exhausted = cgroup >= 0 && _pid < 0 && (errno == EAGAIN || errno == ENOMEM);
    if (_pid < 0 && !exhausted)
    {
        start.inCgroup = false;
        _pid = cloneShared({}, runChild, &start);
    }
    if (_pid < 0)
    {
        _failure = describe("cannot start a process", errno);
        return false;
    }
    FAILPOINT("shim.fork.after");
    _output = std::move(output.readEnd);
    _errors = std::move(errors.readEnd);
    _failurePipe = std::move(failure.readEnd);
    return true;
}

/// The child's half: system calls only, as it runs on the shim's memory.
int Command::runChild(void* argument)
{
    const Start& start = *static_cast<const Start*>(argument);
    const Command& command = *start.command;
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
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    if (!start.inCgroup)
    {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != start.shim)
            return 127; // it died before the line above
    }
    ::umask(022); // what others shall read of a build must not depend on how private our files are
    const rlimit noCore{};
    ::setrlimit(RLIMIT_CORE, &noCore);
    if (const int file = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC); file >= 0)
    {
        if (::write(file, "0", 1) != 1)
            errno = 0; // only a lower score than ours needs a right
        ::close(file);
    }
    if (::dup2(start.output, STDOUT_FILENO) < 0 || ::dup2(start.errors, STDERR_FILENO) < 0)
        return fail(ExecError::Setup);
    ::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
    if (!command._order.cwd.empty() && ::chdir(command._order.cwd.c_str()) != 0)
        return fail(ExecError::Folder);
    ::execve(command._program.c_str(), command._argv.data(), command._envp.data());
    return fail(ExecError::Exec);
}

std::string Command::failure()
{
    ExecError error;
    if (_failure.empty() && _failurePipe.valid() &&
        ::read(_failurePipe.get(), &error, sizeof error) == sizeof error)
    {
        if (error.step == ExecError::Folder)
            _failure = describe("cannot enter '" + _order.cwd + "'", error.error);
        else if (error.step == ExecError::Exec)
            _failure = describe("cannot execute '" + _order.argv.front() + "'", error.error);
        else
            _failure = describe("cannot set up the command's output", error.error);
    }
    return _failure;
}

} // namespace agent
