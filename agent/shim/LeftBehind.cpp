#include "agent/shim/LeftBehind.h"

#include <algorithm>

namespace agent
{
namespace
{

constexpr std::size_t mostNamed = 10;

std::string printable(std::string name)
{
    std::replace_if(
        name.begin(), name.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
    return name;
}

} // namespace

std::string leftBehindLine(const std::vector<ProcessStat>& processes)
{
    std::string names;
    std::size_t count = 0;
    for (const ProcessStat& process : processes)
    {
        if (!process.alive() || process.exiting || ++count > mostNamed)
            continue;
        names += names.empty() ? ": " : ", ";
        names += printable(process.comm) + " (" + std::to_string(process.pid) + ")";
    }
    if (count == 0)
        return {};
    if (count > mostNamed)
        names += " and " + std::to_string(count - mostNamed) + " more";
    std::string line = "[stage-agent: ended ";
    line += std::to_string(count);
    line += count == 1 ? " process" : " processes";
    return line + " that the command left behind" + names + "]\n";
}

} // namespace agent
