#include "agent/process/KernelCalls.h"

#include "agent/os/FileDescriptor.h"

#include <cerrno>
#include <system_error>

#include <linux/close_range.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace agent
{

std::vector<std::string> missingKernelCalls()
{
    std::vector<std::string> missing;
    // `expected`: what the kernel says to arguments that make no sense, if it knows the call.
    const auto look = [&](const char* name, long result, int expected = 0)
    {
        const int error = errno;
        if (result < 0 && error != expected)
            missing.push_back(std::string(name) + " (" + std::generic_category().message(error) +
                              ")");
    };

    const FileDescriptor self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
    look("pidfd_open", self.get());
    look("pidfd_send_signal", ::syscall(SYS_pidfd_send_signal, self.get(), 0, nullptr, 0));
    siginfo_t info{};
    look("waitid on a pidfd",
         ::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(self.get()), &info,
                  WEXITED | WNOHANG),
         ECHILD);
    look("clone3", ::syscall(SYS_clone3, nullptr, 0), EINVAL);
    look("close_range", ::syscall(SYS_close_range, ~0U, ~0U, CLOSE_RANGE_CLOEXEC));
    const FileDescriptor memory(::memfd_create("stage-agent", MFD_CLOEXEC));
    look("memfd_create", memory.get());
    int isSubreaper = 0;
    look("PR_SET_CHILD_SUBREAPER", ::prctl(PR_GET_CHILD_SUBREAPER, &isSubreaper));
    return missing;
}

} // namespace agent
