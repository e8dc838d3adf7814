#include "agent/run/Undying.h"

#include <algorithm>
#include <exception>

namespace agent
{

bool heldByKernel(const std::vector<ProcessInfo>& processes)
{
    return !processes.empty() && std::all_of(processes.begin(), processes.end(),
                                             [](const ProcessInfo& one) { return one.unkillable; });
}

std::string undyingInWords(const std::vector<ProcessInfo>& processes)
{
    constexpr std::size_t named = 5;
    std::string words = processes.size() == 1
                            ? "1 process can't be ended"
                            : std::to_string(processes.size()) + " processes can't be ended";
    for (std::size_t i = 0; i < std::min(named, processes.size()); ++i)
    {
        const ProcessInfo& process = processes[i];
        words += (i == 0 ? ": " : ", ") + std::to_string(process.pid) + " (" + process.comm +
                 ") is in state " + process.state;
        if (!process.wchan.empty())
            words += " in " + process.wchan;
    }
    return words + (processes.size() > named ? " …" : "");
}

std::vector<ProcessInfo> livingIn(const std::filesystem::path& folder)
{
    try
    {
        auto processes = processesOf(folder);
        std::erase_if(processes,
                      [](const ProcessInfo& one) { return one.state == 'Z' || one.state == 'X'; });
        return processes;
    }
    catch (const std::exception&)
    {
        return {}; // the folder was spoilt
    }
}

} // namespace agent
