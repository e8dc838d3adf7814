// stage-collector: keeps the files of a stage, when no process of it is left. Started by stage-shim; docs/artifacts.md.
#include "agent/collect/Collector.h"
#include "agent/os/Files.h"
#include "agent/wire/Failpoint.h"

#include <cstdio>
#include <exception>
#include <string>
#include <string_view>

#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace
{

constexpr int orderFd = 3;
constexpr int answerFd = 4;

bool isOpen(int descriptor)
{
    struct stat status = {};
    return ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
}

} // namespace

/// `stage-collector FOLDER [--without-artifacts]`: the attempt's folder; its order is in descriptor 3, the answer goes to 4.
int main(int argc, char** argv)
try
{
    const bool without = argc == 3 && std::string_view(argv[2]) == "--without-artifacts";
    if (argc == 2 && std::string_view(argv[1]) == "--version")
    {
        std::puts("stage-collector " STAGE_AGENT_VERSION);
        return 0;
    }
    if ((argc != 2 && !without) || !isOpen(orderFd) || !isOpen(answerFd))
    {
        std::fputs("stage-collector is started by stage-shim: stage-collector FOLDER "
                   "[--without-artifacts], with the order as descriptor 3 and a file for the "
                   "answer as descriptor 4\n",
                   stderr);
        return 2;
    }
    // As daemon and shim: no process of the same user reads our memory or descriptors.
    ::prctl(PR_SET_DUMPABLE, 0);
    ::umask(0077);
    const auto text = agent::readAll(orderFd);
    const auto order = agent::orderFrom(text.value_or(""));
    if (!order || !order->collect)
        return 2;
    const agent::Collected collected = agent::Collector(*order, argv[1], !without).run();
    FAILPOINT("collect.answer");
    return agent::writeAll(answerFd, agent::toJson(collected)) ? 0 : 1;
}
catch (const std::exception& error)
{
    std::fprintf(stderr, "stage-collector: %s\n", error.what());
    return 1;
}
