// stage-cache restore COMMAND…: copies what $STAGE_AGENT_NEEDS names, restores what $STAGE_AGENT_CACHES names and becomes COMMAND, which
// does not see those variables.
// stage-cache save ORDER: makes the archive that ORDER, a JSON object, names; says what it saved as one. Ends with who started it.
// stage-cache --version: tells its version.
//
// Exits with 1 when nothing was saved, and why on stderr; 2 when it was not called like that; 121 when something needed could not be
// copied; 127 when COMMAND can't be executed, which it tells the shim through the pipe of wire/ExecError.h too.
#include "agent/cache/Needed.h"
#include "agent/cache/Restorer.h"
#include "agent/cache/Saver.h"
#include "agent/os/FileDescriptor.h"
#include "agent/os/Files.h"
#include "agent/program/Program.h"
#include "agent/wire/ExecError.h"

#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace
{

void say(const std::string& line)
{
    std::printf("cache: %s\n", line.c_str());
    std::fflush(stdout);
}

void sayNeeded(const std::string& line)
{
    std::printf("needs: %s\n", line.c_str());
    std::fflush(stdout);
}

bool write(const std::string& file, const std::string& text)
{
    const agent::FileDescriptor opened(::open(
        file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
    return opened.valid() && agent::writeAll(opened.get(), text);
}

void report(const std::string& file, const std::vector<agent::CacheUse>& uses)
{
    if (!write(file, toJson(uses)))
        say(std::string("nothing will be saved: ") + std::strerror(errno));
}

/// Returns whether the command may be executed.
bool takeNeeded()
{
    const char* text = std::getenv(agent::needs::planVariable);
    if (text == nullptr)
        return true;
    const auto plan = agent::needsPlanFrom(text);
    const auto failure = plan ? agent::cache::takeNeeded(*plan, sayNeeded)
                              : agent::NeedsFailure{.message = "the agent's plan can't be read"};
    if (plan && failure && !write(plan->report, toJson(*failure)))
        sayNeeded(std::string("the reason can't be written: ") + std::strerror(errno));
    ::unsetenv(agent::needs::planVariable);
    ::unsetenv(agent::needs::reportVariable);
    return !failure;
}

/// Returns the shim's pipe for errors of exec, closed on exec; not valid if it was not the shim that started this program.
agent::FileDescriptor failurePipe()
{
    struct stat info = {};
    if (::fstat(agent::ExecError::descriptor, &info) != 0 || !S_ISFIFO(info.st_mode))
        return {};
    ::fcntl(agent::ExecError::descriptor, F_SETFD, FD_CLOEXEC);
    return agent::FileDescriptor(agent::ExecError::descriptor);
}

int restore(char** command)
{
    const agent::FileDescriptor failure = failurePipe();
    if (!takeNeeded())
        return agent::needs::exitCode;
    const char* text = std::getenv(agent::caches::planVariable);
    const auto plan = agent::cachePlanFrom(text != nullptr ? text : "");
    try
    {
        if (plan)
            report(plan->report, agent::cache::restoreCaches(*plan, say));
    }
    catch (const std::exception& error)
    {
        say(error.what());
    }
    ::unsetenv(agent::caches::planVariable);
    ::unsetenv(agent::caches::reportVariable);
    const std::string name = command[0];
    const char* const folders = std::getenv("PATH");
    const auto found = name.find('/') != std::string::npos
                           ? std::filesystem::path(name)
                           : agent::findProgram(name, folders != nullptr ? folders : "");
    errno = ENOENT;
    if (!found.empty())
    {
        std::vector<std::string> arguments;
        for (char** argument = command + 1; *argument != nullptr; ++argument)
            arguments.emplace_back(*argument);
        agent::becomeProgram(found, arguments);
    }
    const agent::ExecError error{.step = agent::ExecError::ExecOfCommand, .error = errno};
    if (!failure.valid() || ::write(failure.get(), &error, sizeof error) != sizeof error)
        std::fprintf(stderr, "cannot execute '%s': %s\n", command[0], std::strerror(error.error));
    constexpr int notExecuted = 127;
    return notExecuted;
}

int save(const char* text)
try
{
    const auto order = agent::cacheSaveFrom(text);
    if (!order)
        return 2;
    // Nobody would know of an archive that is finished after the daemon.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (order->parent != 0 && ::getppid() != order->parent)
        return 1;
    agent::CacheSave done{.header = agent::cache::saveCache(*order)};
    std::puts(toJson(done).c_str());
    return 0;
}
catch (const std::exception& error)
{
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}

} // namespace

int main(int argc, char** argv)
{
    std::setlocale(LC_CTYPE, "C.UTF-8");
    const std::string_view verb = argc > 1 ? argv[1] : "";
    if (argc == 2 && verb == "--version")
    {
        std::puts("stage-cache " STAGE_AGENT_VERSION);
        return 0;
    }
    if (argc > 2 && verb == "restore")
        return restore(argv + 2);
    if (argc == 3 && verb == "save")
        return save(argv[2]);
    std::fprintf(stderr, "usage: stage-cache restore COMMAND... | save ORDER | --version\n");
    return 2;
}
