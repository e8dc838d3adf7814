#include "agent/run/UnkillableStage.h"

#include <algorithm>
#include <exception>

namespace agent
{

bool heldByKernel(const std::vector<ProcessInfo>& processes)
{
    return !processes.empty() && std::all_of(processes.begin(), processes.end(),
                                             [](const ProcessInfo& one) { return one.unkillable; });
}

std::string describeUnkillable(const std::vector<ProcessInfo>& all)
{
    constexpr std::size_t named = 5;
    std::vector<ProcessInfo> processes = all;
    // The first process of a sandbox waits for the others; nobody waits for it.
    std::erase_if(processes,
                  [](const ProcessInfo& one) { return one.unkillable && one.state != 'D'; });
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

std::vector<ProcessInfo> processesOf(const StateFolder& state, const Stage& stage)
{
    if (stage.status != Status::InProgress || stage.attempt == 0)
        return {};
    try
    {
        return processesOf(state.attempt(stage, stage.attempt), sealOf(stage));
    }
    catch (const std::exception&)
    {
        return {}; // its folder is damaged or gone: nothing tells what belongs to it
    }
}

std::vector<ProcessInfo> livingOf(const Order& order, const std::optional<Claim>& claim)
{
    auto processes = processesOf(order, claim);
    std::erase_if(processes,
                  [](const ProcessInfo& one) { return one.state == 'Z' || one.state == 'X'; });
    return processes;
}

} // namespace agent
