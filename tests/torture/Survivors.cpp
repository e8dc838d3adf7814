#include "tests/torture/Survivors.h"

#include "tests/support/Daemon.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <unistd.h>

namespace agent::test
{

std::vector<std::string> living(const std::vector<std::string>& marks)
{
    std::vector<std::string> found;
    std::error_code ignored; // processes end while we look
    for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored))
    {
        const int pid = std::atoi(entry.path().filename().c_str());
        if (pid <= 1 || pid == ::getpid())
            continue;
        std::string arguments = contentOf(entry.path() / "cmdline");
        const std::string environment = contentOf(entry.path() / "environ");
        if (std::none_of(marks.begin(), marks.end(),
                         [&](const std::string& mark)
                         {
                             return arguments.find(mark) != std::string::npos ||
                                    environment.find(mark) != std::string::npos;
                         }))
            continue;
        std::replace(arguments.begin(), arguments.end(), '\0', ' ');
        found.push_back(std::to_string(pid) + " " + arguments);
    }
    return found;
}

void endLiving(const std::vector<std::string>& marks)
{
    for (const auto& process : living(marks))
        ::kill(std::atoi(process.c_str()), SIGKILL);
}

} // namespace agent::test
