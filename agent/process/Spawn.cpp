#include "agent/process/Spawn.h"

#include "agent/os/Clone.h"
#include "agent/os/DescriptorLimit.h"
#include "agent/os/Files.h"
#include "agent/os/SignalsBlocked.h"
#include "agent/wire/Failpoint.h"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace agent
{

namespace
{

constexpr int shimDescriptors = 5;        ///< 0 to 4 are the shim's
constexpr int reportFd = shimDescriptors; ///< in the child, until its exec
constexpr int firstFree = reportFd + 1;

/// What of our environment the shim gets.
constexpr const char* keptVariables[] = {"PATH", FAILPOINT_VARIABLES};

/// Everything that the child needs, made before the clone: after it nothing may allocate.
struct Plan
{
    const char* program = nullptr;
    const char* const* argv = nullptr;
    const char* const* environment = nullptr;
    int null = -1;
    int third = -1;
    int secrets = -1;
    std::uint64_t ignored = 0; ///< signals that we ignore, bit 0 for signal 1
    int boundTo = 0;           ///< our pid, where it ends with us
    const rlimit* descriptors = nullptr;
    int report = -1; ///< gets the errno of what failed; closed by a good exec
};

/// What the kernel, not the C library, calls sigaction; zero is SIG_DFL without flags.
struct DefaultAction
{
    std::uint64_t words[4] = {};
};

/// The child's half. Bare system calls: the C library's wrappers, and a sanitizer's in front of them,
/// may want a lock that another thread held at the clone.
__attribute__((no_sanitize("thread", "address", "undefined"))) int becomeShim(void* argument)
{
    const Plan& plan = *static_cast<const Plan*>(argument);
    int report = plan.report;
    const auto call = [&report](long result)
    {
        if (result >= 0)
            return;
        const int error = errno;
        ::syscall(SYS_write, report, &error, sizeof error);
        ::syscall(SYS_exit_group, 127);
    };
    // First: a daemon that is killed now must leave nobody behind who holds its locks and sockets, or the next
    // one could not start.
    const int sources[shimDescriptors] = {plan.null, plan.null, plan.null, plan.third,
                                          plan.secrets};
    for (int fd = 0; fd < shimDescriptors; ++fd)
        call(::syscall(SYS_dup3, sources[fd], fd, 0));
    call(::syscall(SYS_dup3, plan.report, reportFd, O_CLOEXEC));
    report = reportFd;
    call(::syscall(SYS_close_range, firstFree, ~0U, 0));
    const DefaultAction standard; // the clone has reset handlers, but not what is ignored
    for (int signal = 1; signal <= 64; ++signal)
        if ((plan.ignored >> (signal - 1) & 1) != 0)
            ::syscall(SYS_rt_sigaction, signal, &standard, nullptr, sizeof(std::uint64_t));
    call(::syscall(SYS_setsid));
    if (plan.boundTo != 0)
    {
        // An exec leaves it in force, and TERM waits, blocked, until the shim looks.
        call(::syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0));
        if (::syscall(SYS_getppid) != plan.boundTo)
            ::syscall(SYS_exit_group, 127); // we were gone before the line above
    }
    // It outlives the daemon, and must not keep the daemon's folder from being unmounted.
    call(::syscall(SYS_chdir, "/"));
    if (plan.descriptors->rlim_max != 0)
        call(::syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, plan.descriptors, nullptr));
    call(::syscall(SYS_execve, plan.program, plan.argv, plan.environment));
    return 127;
}

/// The signals that this process ignores, as /proc/PID/status has them.
std::uint64_t ignoredSignals()
{
    const std::string status = readFile("/proc/self/status").value_or("");
    constexpr std::string_view name = "SigIgn:\t";
    const std::size_t at = status.find(name);
    return at == std::string::npos ? ~0ULL
                                   : std::strtoull(status.c_str() + at + name.size(), nullptr, 16);
}

/// A copy that no target of the child's dup3 can overwrite.
FileDescriptor copyAbove(int fd)
{
    FileDescriptor copy(::fcntl(fd, F_DUPFD_CLOEXEC, firstFree));
    if (!copy.valid())
        throw std::system_error(errno, std::generic_category(), "cannot copy a descriptor");
    return copy;
}

/// The errno that the child reports; 0 when it was executed.
int execError(int report)
{
    int error = 0;
    ssize_t got = 0;
    do
        got = ::read(report, &error, sizeof error);
    while (got < 0 && errno == EINTR);
    return got == sizeof error ? error : 0;
}

} // namespace

Child spawnShim(const std::filesystem::path& program, const std::string& argument,
                const FileDescriptor& third, const FileDescriptor& secrets, Bond bond)
{
    const std::string what = "cannot start stage-shim '" + program.string() + "'";
    const char* const argv[] = {"stage-shim", argument.c_str(), nullptr};
    std::string kept[std::size(keptVariables)];
    const char* environment[std::size(keptVariables) + 1] = {};
    std::size_t used = 0;
    for (const char* name : keptVariables)
        if (const char* value = std::getenv(name))
        {
            kept[used] = std::string(name) + "=" + value;
            environment[used] = kept[used].c_str();
            ++used;
        }

    const FileDescriptor openedNull(::open("/dev/null", O_RDWR | O_CLOEXEC));
    int ends[2] = {-1, -1};
    if (!openedNull.valid() || ::pipe2(ends, O_CLOEXEC) != 0)
        throw std::system_error(errno, std::generic_category(), what);
    const FileDescriptor reportRead(ends[0]);
    FileDescriptor reportWrite(ends[1]);
    const FileDescriptor null = copyAbove(openedNull.get());
    const FileDescriptor thirdCopy = copyAbove(third.get());
    const FileDescriptor secretsCopy = copyAbove(secrets.valid() ? secrets.get() : null.get());
    reportWrite = copyAbove(reportWrite.get());
    Plan plan{
        .program = program.c_str(),
        .argv = argv,
        .environment = environment,
        .null = null.get(),
        .third = thirdCopy.get(),
        .secrets = secretsCopy.get(),
        .ignored = ignoredSignals(),
        .boundTo = bond == Bond::EndsWithUs ? ::getpid() : 0,
        .descriptors = &descriptorLimitOfChildren(),
        .report = reportWrite.get(),
    };

    int pidfd = -1;
    clone_args args{};
    args.flags = CLONE_PIDFD;
    args.pidfd = reinterpret_cast<std::uintptr_t>(&pidfd);
    pid_t pid = -1;
    int cloneError = 0;
    {
        const SignalsBlocked blocked;
        pid = cloneShared(args, becomeShim, &plan);
        cloneError = errno;
    }
    if (pid < 0)
        throw std::system_error(cloneError, std::generic_category(), what);
    FAILPOINT("launch.cloned");
    Child child{.pid = pid, .pidfd = FileDescriptor(pidfd)};
    reportWrite = FileDescriptor();
    if (const int error = execError(reportRead.get()); error != 0)
    {
        siginfo_t info{};
        while (::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(child.pidfd.get()), &info,
                        WEXITED) != 0 &&
               errno == EINTR)
            ;
        throw std::system_error(error, std::generic_category(), what);
    }
    return child;
}

} // namespace agent
