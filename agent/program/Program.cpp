#include "agent/program/Program.h"

#include "agent/os/FileDescriptor.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <sstream>
#include <system_error>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
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
            _text.append(chunk.data(),
                         std::min(static_cast<std::size_t>(got), _most - _text.size()));
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
    std::string _text;
};

class SpawnSettings
{
public:
    SpawnSettings(const Output& out, const Output& err)
    {
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        ::posix_spawn_file_actions_adddup2(&actions, out.writeEnd(), STDOUT_FILENO);
        ::posix_spawn_file_actions_adddup2(&actions, err.writeEnd(), STDERR_FILENO);

        ::posix_spawnattr_init(&attributes);
        sigset_t signals;
        ::sigemptyset(&signals);
        ::posix_spawnattr_setsigmask(&attributes, &signals);
        ::sigfillset(&signals);
        ::posix_spawnattr_setsigdefault(&attributes, &signals);
        ::posix_spawnattr_setpgroup(&attributes, 0);
        ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                    POSIX_SPAWN_SETPGROUP);
    }
    SpawnSettings(const SpawnSettings&) = delete;
    SpawnSettings& operator=(const SpawnSettings&) = delete;
    ~SpawnSettings()
    {
        ::posix_spawn_file_actions_destroy(&actions);
        ::posix_spawnattr_destroy(&attributes);
    }

    posix_spawn_file_actions_t actions{};
    posix_spawnattr_t attributes{};
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

int spawn(const ProgramCall& call, const Output& out, const Output& err)
{
    const SpawnSettings settings(out, err);
    auto words = call.argv;
    auto variables = call.environment.value_or(std::vector<std::string>());
    auto argv = pointersTo(words);
    auto envp = pointersTo(variables);
    pid_t pid = 0;
    const int error = ::posix_spawn(&pid, argv[0], &settings.actions, &settings.attributes,
                                    argv.data(), call.environment ? envp.data() : environ);
    if (error != 0)
        fail(error, call.argv.front());
    return pid;
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
        std::array<pollfd, 3> polled{{{.fd = out.readEnd(), .events = POLLIN, .revents = 0},
                                      {.fd = err.readEnd(), .events = POLLIN, .revents = 0},
                                      {.fd = pidfd.get(), .events = POLLIN, .revents = 0}}};
        ::poll(polled.data(), polled.size(), millisecondsUntil(deadline));
        // First who has ended, then what was said: so its last words are never missed.
        running = polled[2].revents == 0;
        end.late = running && Clock::now() >= deadline;
        out.take();
        err.take();
        running = running && !end.late;
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
