#include "tests/support/Program.h"

#include "tests/support/Daemon.h"
#include "tests/support/Tokens.h"

#include <cppunit/TestAssert.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace agent::test
{

namespace
{

/// Its wait status. Errors: fails the test after 60 s, with the process gone.
int waitForEnd(int pid, const std::string& name)
{
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    int status = 0;
    while (::waitpid(pid, &status, WNOHANG) == 0)
    {
        if (std::chrono::steady_clock::now() > end)
        {
            ::kill(pid, SIGKILL);
            ::waitpid(pid, &status, 0);
            CPPUNIT_FAIL(name + " did not end within 60 s");
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return status;
}

} // namespace

std::vector<char*> pointersTo(const std::vector<std::string>& words)
{
    std::vector<char*> pointers;
    pointers.reserve(words.size() + 1);
    for (const auto& word : words)
        pointers.push_back(const_cast<char*>(word.c_str()));
    pointers.push_back(nullptr);
    return pointers;
}

std::vector<std::string> variablesWith(const std::map<std::string, std::string>& environment)
{
    const std::string token = "STAGE_AGENT_TOKEN";
    std::vector<std::string> variables{std::string("PATH=") + std::getenv("PATH")};
    if (!environment.contains(token) && !newestToken().empty())
        variables.push_back(token + "=" + newestToken());
    for (const auto& [name, value] : environment)
        variables.push_back(std::string(name).append("=").append(value));
    return variables;
}

Ended runProgram(const std::vector<std::string>& arguments, const std::filesystem::path& folder,
                 const std::map<std::string, std::string>& environment)
{
    const auto out = folder / "program-out";
    const auto err = folder / "program-err";
    const auto variables = variablesWith(environment);
    const auto argv = pointersTo(arguments);
    const auto envp = pointersTo(variables);

    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    constexpr int write = O_WRONLY | O_CREAT | O_TRUNC;
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, out.c_str(), write, 0600);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, err.c_str(), write, 0600);
    posix_spawn_file_actions_addchdir_np(&files, folder.c_str());
    pid_t pid = 0;
    const int error = ::posix_spawn(&pid, argv[0], &files, nullptr, argv.data(), envp.data());
    posix_spawn_file_actions_destroy(&files);
    CPPUNIT_ASSERT_EQUAL_MESSAGE(arguments[0], 0, error);

    const int status = waitForEnd(pid, arguments[0]);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), contentOf(out),
            contentOf(err)};
}

} // namespace agent::test
