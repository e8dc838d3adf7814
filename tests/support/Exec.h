#pragma once

#include "tests/support/Daemon.h"
#include "tests/support/Program.h"
#include "tests/support/Stages.h"

#include <cppunit/TestAssert.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace agent::test
{

inline void assertHas(const std::string& text, const std::string& part)
{
    CPPUNIT_ASSERT_MESSAGE("'" + part + "' is not in:\n" + text,
                           text.find(part) != std::string::npos);
}

/// Services for `stagectl exec`, a daemon that may know them too, and a TMPDIR where it can be seen what
/// was left behind.
class ExecPlace
{
public:
    ExecPlace()
    {
        std::filesystem::create_directory(temporary());
        std::ofstream(configuration())
            << "services.dir = " << at("services.d") << "\nsecrets.dir = " << at("secrets")
            << "\nplugins.dir = " << at("plugins") << "\nstate.dir = " << daemon.state().string()
            << "\nstage.grace = 2s\nisolation.default = none\n";
    }

    Daemon daemon; ///< not started

    [[nodiscard]] std::string at(const std::string& name) const
    {
        return (daemon.folder() / name).string();
    }
    [[nodiscard]] std::string configuration() const { return at("stage-agent.properties"); }
    [[nodiscard]] std::string temporary() const { return at("tmp"); }

    /// The service `app` with stages of the shell, each `TYPE: command`; `more` is further lines.
    void app(const std::vector<std::pair<std::string, std::string>>& stages,
             const std::string& more = "") const
    {
        std::string yaml = "name: app\n" + more + "stages:\n";
        for (const auto& [type, command] : stages)
        {
            yaml += "  - type: " + type + "\n    plugin: shell\n    with:\n      command: |\n";
            std::istringstream lines(command);
            for (std::string line; std::getline(lines, line);)
                yaml += "        " + line + "\n";
        }
        const_cast<Daemon&>(daemon).writeService("app", yaml);
    }

    /// A repository with one file that says `content`, on its branch `main`.
    [[nodiscard]] std::string repository(const std::string& content) const
    {
        auto folder = at("origin");
        sh("git init -q -b main " + folder + "; cd " + folder + "; printf %s '" + content +
           "' > file; git add file; git -c user.name=Ada -c user.email=ada@example.org commit -q "
           "-m one");
        return folder;
    }

    std::string sh(const std::string& script) const
    {
        const auto ended = runProgram({"/bin/sh", "-ec", script}, daemon.folder());
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ended.err, 0, ended.exitCode);
        return ended.out;
    }

    [[nodiscard]] std::vector<std::string> line(const std::vector<std::string>& arguments) const
    {
        std::vector<std::string> all{STAGE_AGENT_BIN_DIR "/stagectl", "exec", "--config",
                                     configuration()};
        all.insert(all.end(), arguments.begin(), arguments.end());
        return all;
    }

    [[nodiscard]] std::map<std::string, std::string> environment() const
    {
        const char* home = std::getenv("HOME");
        return {{"TMPDIR", temporary()}, {"HOME", home ? home : "/"}};
    }

    [[nodiscard]] Ended exec(const std::vector<std::string>& arguments) const
    {
        return runProgram(line(arguments), daemon.folder(), environment());
    }

    /// The same, to end with `code` and nothing left behind.
    Ended exec(int code, const std::vector<std::string>& arguments) const
    {
        auto ended = exec(arguments);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ended.out + ended.err, code, ended.exitCode);
        assertNothingLeft();
        return ended;
    }

    void assertNothingLeft() const
    {
        std::string left;
        for (const auto& entry : std::filesystem::directory_iterator(temporary()))
            left += entry.path().string() + "\n";
        CPPUNIT_ASSERT_EQUAL(std::string(), left);
        CPPUNIT_ASSERT_EQUAL(std::string(), processes());
    }

    /// What runs with our TMPDIR in its arguments or environment, and so in stages as well.
    [[nodiscard]] std::string processes() const
    {
        std::string found;
        for (const auto& entry : std::filesystem::directory_iterator("/proc"))
        {
            const auto file = [&](const char* name) { return contentOf(entry.path() / name); };
            if (std::atoi(entry.path().filename().c_str()) == 0 ||
                file("stat").find(") Z ") != std::string::npos)
                continue;
            if (const auto mark = temporary() + "/";
                file("cmdline").find(mark) != std::string::npos ||
                file("environ").find(mark) != std::string::npos)
                found += entry.path().filename().string() + " " + file("comm");
        }
        return found;
    }
};

/// An exec that goes on while the test looks; killed with the object.
class RunningExec
{
public:
    RunningExec(const ExecPlace& place, const std::vector<std::string>& arguments)
        : _out(place.at("exec-out")), _err(place.at("exec-err"))
    {
        auto words = place.line(arguments);
        const auto variables = variablesWith(place.environment());
        auto argv = pointersTo(words);
        auto envp = pointersTo(variables);
        posix_spawn_file_actions_t files;
        posix_spawn_file_actions_init(&files);
        constexpr int write = O_WRONLY | O_CREAT | O_TRUNC;
        posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_addopen(&files, 1, _out.c_str(), write, 0600);
        posix_spawn_file_actions_addopen(&files, 2, _err.c_str(), write, 0600);
        const int error = ::posix_spawn(&_pid, argv[0], &files, nullptr, argv.data(), envp.data());
        posix_spawn_file_actions_destroy(&files);
        CPPUNIT_ASSERT_EQUAL(0, error);
    }
    ~RunningExec()
    {
        if (_pid > 0)
            kill();
    }
    RunningExec(const RunningExec&) = delete;
    RunningExec& operator=(const RunningExec&) = delete;

    [[nodiscard]] std::string out() const { return contentOf(_out); }
    [[nodiscard]] std::string err() const { return contentOf(_err); }

    void untilOut(const std::string& text) const
    {
        waitFor("'" + text + "' in the log", [&] { return out().find(text) != std::string::npos; });
    }
    void untilErr(const std::string& text) const
    {
        waitFor("'" + text + "'", [&] { return err().find(text) != std::string::npos; });
    }

    void signal(int signal) const { ::kill(_pid, signal); }

    /// The groups that it made for itself and its stages and that are there, deepest first. Those of others come and go
    /// meanwhile, of which find would tell.
    [[nodiscard]] static std::string groups(const ExecPlace& place, int pid)
    {
        return place.sh("find /sys/fs/cgroup -depth -type d -path '*/stage-agent.exec-" +
                        std::to_string(pid) + "*' 2>/dev/null; true");
    }

    [[nodiscard]] int pid() const { return _pid; }

    /// As a crash would.
    void kill()
    {
        ::kill(_pid, SIGKILL);
        ::waitpid(_pid, nullptr, 0);
        _pid = 0;
    }

    /// Returns its exit code. Errors: fails the test after 30 s.
    int end()
    {
        int status = 0;
        waitFor("exec to end", [&] { return ::waitpid(_pid, &status, WNOHANG) == _pid; });
        _pid = 0;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }

private:
    std::filesystem::path _out;
    std::filesystem::path _err;
    pid_t _pid = 0;
};

} // namespace agent::test
