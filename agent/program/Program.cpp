#include "agent/program/Program.h"

#include "agent/os/Clone.h"
#include "agent/os/DescriptorLimit.h"
#include "agent/os/FileDescriptor.h"
#include "agent/os/SignalsBlocked.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <sstream>
#include <system_error>

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace agent
{

namespace
{

/// So long a killed process gets to be gone.
constexpr int afterKillMs = 1000;

using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(int error, const std::string& what)
{
    throw std::system_error(error, std::generic_category(), what);
}

/// One output of the program: a pipe and what came out of it.
class Output
{
public:
    explicit Output(std::size_t most) : _most(most)
    {
        int ends[2] = {-1, -1};
        if (::pipe2(ends, O_CLOEXEC) != 0)
            fail(errno, "no pipe");
        _read = FileDescriptor(ends[0]);
        _write = FileDescriptor(ends[1]);
        // The program's end stays blocking, as programs expect it.
        ::fcntl(_read.get(), F_SETFL, O_NONBLOCK);
    }

    [[nodiscard]] bool full() const { return _dropped; }
    [[nodiscard]] int readEnd() const { return _read.get(); }
    [[nodiscard]] int writeEnd() const { return _write.get(); }
    void closeWriteEnd() { _write = FileDescriptor(); }

    /// Takes what is there now.
    void take()
    {
        std::array<char, 4096> chunk{};
        while (_read.valid())
        {
            const ssize_t got = ::read(_read.get(), chunk.data(), chunk.size());
            if (got < 0 && errno == EINTR)
                continue;
            if (got < 0 && errno == EAGAIN)
                return;
            if (got <= 0)
            {
                _read = FileDescriptor();
                return;
            }
            const auto size = static_cast<std::size_t>(got);
            _dropped = _dropped || size > _most - _text.size();
            _text.append(chunk.data(), std::min(size, _most - _text.size()));
            if (_text.size() == _most && ++_chunksDropped > chunksAtOnce)
            {
                _chunksDropped = 0; // whoever writes without end must not keep us from the deadline
                return;
            }
        }
    }

    std::string text() { return std::move(_text); }

private:
    static constexpr int chunksAtOnce = 16;

    FileDescriptor _read;
    FileDescriptor _write;
    std::size_t _most;
    int _chunksDropped = 0;
    bool _dropped = false;
    std::string _text;
};

std::vector<char*> pointersTo(std::vector<std::string>& words)
{
    std::vector<char*> pointers;
    pointers.reserve(words.size() + 1);
    for (std::string& word : words)
        pointers.push_back(word.data());
    pointers.push_back(nullptr);
    return pointers;
}

/// What the child needs, made before the clone: it runs on our memory, and allocates nothing.
struct Plan
{
    const char* const* argv = nullptr;
    const char* const* environment = nullptr;
    int null = -1;
    int out = -1;
    int err = -1;
    int failure = -1; ///< gets the errno of what failed; closed by a good exec
    const rlimit* descriptors = nullptr;
    rlimit memory{}; ///< 0: as ours
};

/// The child's half. Bare system calls, as in process/Spawn.cpp.
__attribute__((no_sanitize("thread", "address", "undefined"))) int become(void* argument)
{
    const Plan& plan = *static_cast<const Plan*>(argument);
    const std::uint64_t zeros[4] = {}; // SIG_DFL without flags; an empty set
    for (int signal = 1; signal <= 64; ++signal)
        ::syscall(SYS_rt_sigaction, signal, zeros, nullptr, sizeof zeros[0]);
    ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, zeros, nullptr, sizeof zeros[0]);
    const bool ready = ::syscall(SYS_setpgid, 0, 0) == 0 &&
                       ::syscall(SYS_dup3, plan.null, STDIN_FILENO, 0) >= 0 &&
                       ::syscall(SYS_dup3, plan.out, STDOUT_FILENO, 0) >= 0 &&
                       ::syscall(SYS_dup3, plan.err, STDERR_FILENO, 0) >= 0;
    if (ready && plan.descriptors->rlim_max != 0)
        ::syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, plan.descriptors, nullptr);
    if (ready && plan.memory.rlim_max != 0)
        ::syscall(SYS_prlimit64, 0, RLIMIT_DATA, &plan.memory, nullptr);
    if (ready)
        ::syscall(SYS_execve, plan.argv[0], plan.argv, plan.environment);
    const int error = errno;
    ::syscall(SYS_write, plan.failure, &error, sizeof error);
    return 127;
}

/// A copy that no target of the child's dup3 can overwrite.
FileDescriptor aboveStandard(int fd)
{
    FileDescriptor copy(::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    if (!copy.valid())
        fail(errno, "cannot copy a descriptor");
    return copy;
}

int spawn(const ProgramCall& call, const Output& out, const Output& err)
{
    auto words = call.argv;
    auto variables = call.environment.value_or(std::vector<std::string>());
    const auto argv = pointersTo(words);
    const auto envp = pointersTo(variables);
    const FileDescriptor opened(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    int ends[2] = {-1, -1};
    if (!opened.valid() || ::pipe2(ends, O_CLOEXEC) != 0)
        fail(errno, "no pipe");
    const FileDescriptor failed(ends[0]);
    FileDescriptor failure(ends[1]);
    const FileDescriptor null = aboveStandard(opened.get());
    const FileDescriptor ofOut = aboveStandard(out.writeEnd());
    const FileDescriptor ofErr = aboveStandard(err.writeEnd());
    failure = aboveStandard(failure.get());
    Plan plan{.argv = argv.data(),
              .environment = call.environment ? envp.data() : environ,
              .null = null.get(),
              .out = ofOut.get(),
              .err = ofErr.get(),
              .failure = failure.get(),
              .descriptors = &descriptorLimitOfChildren(),
              .memory = {call.mostMemory, call.mostMemory}};
    pid_t pid = -1;
    int error = 0;
    {
        const SignalsBlocked blocked;
        pid = cloneShared({}, become, &plan);
        error = errno;
    }
    if (pid < 0)
        fail(error, call.argv.front());
    failure.reset();
    ssize_t got = 0;
    do
        got = ::read(failed.get(), &error, sizeof error);
    while (got < 0 && errno == EINTR);
    if (got != sizeof error)
        return pid;
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR)
        ;
    fail(error, call.argv.front());
}

/// Ends all of the group. It is still ours: its first process is not reaped before.
/// Returns nullopt if it can't be killed (state D); it is reparented to init when this process ends.
std::optional<int> killAndReap(int pid, int pidfd)
{
    ::kill(-pid, SIGKILL);
    pollfd ended{.fd = pidfd, .events = POLLIN, .revents = 0};
    if (pidfd >= 0 && ::poll(&ended, 1, afterKillMs) == 0)
        return std::nullopt;
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

int millisecondsUntil(Clock::time_point deadline)
{
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
}

} // namespace

std::string ProgramEnd::describe() const
{
    std::string text = late          ? "no end in time"
                       : tooMuch     ? "it says too much"
                       : stopped     ? "stopped"
                       : signal != 0 ? "signal " + std::to_string(signal)
                                     : "exit code " + std::to_string(exitCode);
    std::istringstream lines(err);
    std::string last;
    for (std::string line; std::getline(lines, line);)
        if (!line.empty())
            last = line;
    return last.empty() ? text : text + ": " + last;
}

ProgramEnd runProgram(const ProgramCall& call)
{
    const auto deadline = Clock::now() + call.timeout;
    Output out(call.mostBytes);
    Output err(call.mostBytes);
    const int pid = spawn(call, out, err);
    out.closeWriteEnd();
    err.closeWriteEnd();
    const FileDescriptor pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!pidfd.valid())
    {
        const int error = errno;
        killAndReap(pid, -1);
        fail(error, "pidfd_open");
    }

    ProgramEnd end;
    for (bool running = true; running;)
    {
        std::array<pollfd, 4> polled{{{.fd = out.readEnd(), .events = POLLIN, .revents = 0},
                                      {.fd = err.readEnd(), .events = POLLIN, .revents = 0},
                                      {.fd = pidfd.get(), .events = POLLIN, .revents = 0},
                                      {.fd = call.stop, .events = POLLIN, .revents = 0}}};
        ::poll(polled.data(), polled.size(), millisecondsUntil(deadline));
        // First who has ended, then what was said: so its last words are never missed.
        running = polled[2].revents == 0;
        end.late = running && Clock::now() >= deadline;
        out.take();
        err.take();
        end.tooMuch = running && call.endWhenFull && (out.full() || err.full());
        end.stopped = running && polled[3].revents != 0;
        running = running && !end.late && !end.tooMuch && !end.stopped;
    }
    const auto status = killAndReap(pid, pidfd.get());
    end.late = end.late || !status;
    end.exitCode = status && WIFEXITED(*status) ? WEXITSTATUS(*status) : -1;
    end.signal = status && WIFSIGNALED(*status) ? WTERMSIG(*status) : 0;
    end.out = out.text();
    end.err = err.text();
    return end;
}

std::filesystem::path findProgram(const std::string& name, const std::string& folders)
{
    std::istringstream list(folders);
    for (std::string folder; std::getline(list, folder, ':');)
    {
        auto place = std::filesystem::path(folder) / name;
        std::error_code ignored;
        if (std::filesystem::is_regular_file(place, ignored) && ::access(place.c_str(), X_OK) == 0)
            return place;
    }
    return {};
}

void becomeProgram(const std::filesystem::path& path, const std::vector<std::string>& arguments)
{
    std::string program = path.string();
    std::vector<std::string> copies = arguments; // execv wants them writable
    std::vector<char*> argv{program.data()};
    for (auto& argument : copies)
        argv.push_back(argument.data());
    argv.push_back(nullptr);
    std::signal(SIGPIPE, SIG_DFL); // stagectl ignores it, and that would be inherited
    ::execv(program.c_str(), argv.data());
}

} // namespace agent
