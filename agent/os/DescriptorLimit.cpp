#include "agent/os/DescriptorLimit.h"

namespace agent
{

namespace
{

rlimit before{};

} // namespace

std::size_t raiseDescriptorLimit()
{
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024; // what systems give at least
    const rlimit raised{.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
    if (limit.rlim_cur >= limit.rlim_max || ::setrlimit(RLIMIT_NOFILE, &raised) != 0)
        return limit.rlim_cur;
    before = limit;
    return raised.rlim_cur;
}

const rlimit& descriptorLimitOfChildren()
{
    return before;
}

} // namespace agent
