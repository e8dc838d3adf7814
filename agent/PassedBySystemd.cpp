#include "agent/PassedBySystemd.h"

#include <cstdlib>
#include <string>
#include <string_view>

#include <sys/mman.h>
#include <systemd/sd-daemon.h>

namespace agent
{

namespace
{

constexpr const char* memoryName = "secrets";

FileDescriptor newMemory()
{
    FileDescriptor memory(::memfd_create("stage-agent-secrets", MFD_CLOEXEC));
    const int descriptor = memory.get();
    const std::string state = std::string("FDSTORE=1\nFDNAME=") + memoryName;
    if (memory.valid())
        ::sd_pid_notify_with_fds(0, 0, state.c_str(), &descriptor, 1);
    return memory;
}

} // namespace

PassedBySystemd PassedBySystemd::take()
{
    PassedBySystemd passed;
    char** names = nullptr;
    const int count = ::sd_listen_fds_with_names(1, &names);
    for (int i = 0; i < count; ++i)
    {
        FileDescriptor descriptor(SD_LISTEN_FDS_START + i);
        if (names != nullptr && std::string_view(names[i]) == memoryName)
            passed.memory = std::move(descriptor);
        else
            passed.sockets.push_back(std::move(descriptor));
        if (names != nullptr)
            std::free(names[i]);
    }
    std::free(names);
    if (!passed.memory.valid() && std::getenv("NOTIFY_SOCKET") != nullptr)
        passed.memory = newMemory();
    return passed;
}

} // namespace agent
