#include "plugins/git/Program.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <iostream>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace agent::git
{

namespace
{

using Clock = std::chrono::steady_clock;

constexpr std::size_t maxErrorBytes = 8192; // enough for a message
constexpr auto progressEvery = std::chrono::seconds(10);

class Pipe
{
public:
    Pipe()
    {
        if (pipe2(_ends.data(), O_CLOEXEC) != 0)
            throw Failure(std::string("git: no pipe: ") + std::strerror(errno));
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    ~Pipe()
    {
        closeEnd(0);
        closeEnd(1);
    }

    [[nodiscard]] int end(std::size_t i) const { return _ends[i]; }
    void closeEnd(std::size_t i)
    {
        if (_ends[i] >= 0)
            close(_ends[i]);
        _ends[i] = -1;
    }

    /// Returns whether it is readable.
    [[nodiscard]] bool readable() const
    {
        pollfd polled{.fd = _ends[0], .events = POLLIN, .revents = 0};
        return _ends[0] >= 0 && poll(&polled, 1, 0) > 0;
    }

    /// Returns the bytes of one read; closes the pipe at end of file.
    std::string takeSome()
    {
        std::string bytes(65'536, '\0');
        const ssize_t got = read(_ends[0], bytes.data(), bytes.size());
        if (got <= 0 && !(got < 0 && errno == EINTR))
            closeEnd(0);
        bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
        return bytes;
    }

private:
    std::array<int, 2> _ends{-1, -1};
};

/// Splits stderr into progress (lines ending with CR) and messages; ssh's end with CR and LF.
class ErrorStream
{
public:
    void take(std::string_view bytes)
    {
        for (const char c : bytes)
        {
            if (std::exchange(_returned, c == '\r') && c != '\n')
                showProgress();
            if (c == '\r')
                continue;
            if (c == '\n')
                keepLine();
            else
                _line += c;
        }
    }

    std::string rest()
    {
        if (_returned)
            showProgress();
        keepLine();
        return std::move(_words);
    }

private:
    static bool isProgress(const std::string& line)
    {
        return line.find('%') != std::string::npos && line.find(": ") != std::string::npos &&
               !line.starts_with("fatal: ") && !line.starts_with("error: ");
    }

    /// A branch or tag that a fetch has made: there may be so many that no room is left for what went wrong.
    static bool isNews(const std::string& line) { return line.starts_with(" * [new "); }

    void showProgress()
    {
        if (isProgress(_line) && Clock::now() >= _nextProgress)
        {
            std::cout << "git: " << _line << std::endl;
            _nextProgress = Clock::now() + progressEvery;
        }
        _line.clear();
    }

    void keepLine()
    {
        if (!_line.empty() && !isProgress(_line) && !isNews(_line))
            _words += _line + "\n";
        if (_words.size() > maxErrorBytes)
            _words.erase(0, _words.size() - maxErrorBytes);
        _line.clear();
    }

    bool _returned = false; ///< the last byte was a CR
    std::string _line;
    std::string _words;
    Clock::time_point _nextProgress = Clock::now() + progressEvery;
};

/// Attributes for posix_spawn: default signal dispositions.
class SpawnSettings
{
public:
    SpawnSettings(int input, int out, int errors, Descriptors descriptors,
                  const std::vector<int>& passed)
    {
        posix_spawn_file_actions_init(&actions);
        if (input >= 0)
            posix_spawn_file_actions_adddup2(&actions, input, 0);
        else
            posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_adddup2(&actions, out, 1);
        posix_spawn_file_actions_adddup2(&actions, errors, 2);
        if (descriptors == Descriptors::Standard)
            posix_spawn_file_actions_addclosefrom_np(&actions, 3);
        for (const int descriptor : passed) // to itself: that takes FD_CLOEXEC away
            posix_spawn_file_actions_adddup2(&actions, descriptor, descriptor);

        posix_spawnattr_init(&attributes);
        sigset_t signals;
        sigemptyset(&signals);
        posix_spawnattr_setsigmask(&attributes, &signals);
        sigfillset(&signals);
        posix_spawnattr_setsigdefault(&attributes, &signals);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    }
    SpawnSettings(const SpawnSettings&) = delete;
    SpawnSettings& operator=(const SpawnSettings&) = delete;
    ~SpawnSettings()
    {
        posix_spawn_file_actions_destroy(&actions);
        posix_spawnattr_destroy(&attributes);
    }

    posix_spawn_file_actions_t actions{};
    posix_spawnattr_t attributes{};
};

std::vector<char*> pointers(std::vector<std::string>& texts)
{
    std::vector<char*> all;
    all.reserve(texts.size() + 1);
    for (std::string& text : texts)
        all.push_back(text.data());
    all.push_back(nullptr);
    return all;
}

pid_t spawn(std::vector<std::string> argv, const std::map<std::string, std::string>& env,
            const SpawnSettings& settings)
{
    std::vector<std::string> variables;
    variables.reserve(env.size());
    for (const auto& [name, value] : env)
        variables.emplace_back(name).append("=").append(value);

    // posix_spawnp searches this process's PATH, which equals the one in env.
    pid_t pid = -1;
    const int error =
        posix_spawnp(&pid, argv.front().c_str(), &settings.actions, &settings.attributes,
                     pointers(argv).data(), pointers(variables).data());
    if (error != 0)
        throw Failure(argv.front() + ": can't be started: " + std::strerror(error));
    return pid;
}

int waitFor(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            throw Failure(std::string("git: lost its process: ") + std::strerror(errno));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

} // namespace

std::string Ended::why() const
{
    std::string line = errors;
    while (!line.empty() && line.back() == '\n')
        line.pop_back();
    for (std::size_t i = 0; (i = line.find('\n', i)) != std::string::npos;)
        line.replace(i, 1, "; ");
    return line.empty() ? "git ended with exit code " + std::to_string(exitCode) : line;
}

Ended runProgram(const std::vector<std::string>& argv,
                 const std::map<std::string, std::string>& env, Descriptors descriptors,
                 const std::vector<int>& passed, int input)
{
    std::cout << std::flush;
    Pipe out;
    Pipe errors;
    const pid_t pid =
        spawn(argv, env, SpawnSettings(input, out.end(1), errors.end(1), descriptors, passed));
    out.closeEnd(1);
    errors.closeEnd(1);
    // Waits for the process, not for its pipes: ssh and credential daemons may hold those open.
    const auto pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));

    Ended ended;
    ErrorStream stream;
    for (bool running = true; running || out.readable() || errors.readable();)
    {
        std::array<pollfd, 3> polled{{{.fd = out.end(0), .events = POLLIN, .revents = 0},
                                      {.fd = errors.end(0), .events = POLLIN, .revents = 0},
                                      {.fd = pidfd, .events = POLLIN, .revents = 0}}};
        if (poll(polled.data(), polled.size(), -1) < 0)
            continue;
        if (polled[0].revents != 0)
            ended.out += out.takeSome();
        if (polled[1].revents != 0)
            stream.take(errors.takeSome());
        running = pidfd >= 0 ? polled[2].revents == 0 : out.end(0) >= 0 || errors.end(0) >= 0;
    }
    if (pidfd >= 0)
        close(pidfd);
    ended.exitCode = waitFor(pid);
    ended.errors = stream.rest();
    return ended;
}

} // namespace agent::git
