#include "tests/torture/Helpers.h"

#include <string_view>

namespace agent::test
{

namespace
{

/// Whether it is the program, called with `verb`, and of the daemon with this state folder.
bool is(const ProcessStat& process, std::string_view program, std::string_view verb,
        const std::string& state)
{
    if (process.comm != program || !process.alive())
        return false;
    const std::string folder = "/proc/" + std::to_string(process.pid);
    const std::string arguments = contentOf(folder + "/cmdline");
    const std::string called = std::string(1, '\0').append(verb).append(1, '\0');
    return (verb.empty() || arguments.find(called) != std::string::npos) &&
           (arguments.find(state) != std::string::npos ||
            contentOf(folder + "/environ").find(state) != std::string::npos);
}

} // namespace

std::string toString(Helper helper)
{
    switch (helper)
    {
    case Helper::Collector:
        return "collector";
    case Helper::Restore:
        return "restore";
    case Helper::Save:
        return "save";
    case Helper::Shim:
        return "shim";
    }
    return {};
}

std::vector<ProcessStat> helpersOf(const Daemon& daemon, Helper helper)
{
    const std::string state = daemon.state().string();
    std::vector<ProcessStat> found;
    for (const ProcessStat& process : allProcesses())
    {
        const bool collector = is(process, "stage-collector", "", state);
        const bool restore = is(process, "stage-cache", "restore", state);
        if ((helper == Helper::Collector && collector) || (helper == Helper::Restore && restore) ||
            (helper == Helper::Save && is(process, "stage-cache", "save", state)))
            found.push_back(process);
        else if (helper == Helper::Shim && (collector || restore))
            if (const auto shim = processStat(process.ppid); shim && shim->comm == "stage-shim")
                found.push_back(*shim);
    }
    return found;
}

} // namespace agent::test
