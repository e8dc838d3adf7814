// stage-shim FOLDER: runs the one attempt whose order.json is in FOLDER and writes how it ended.
// stage-shim --version: tells its version.
//
// Started by the daemon with descriptor 3 = FOLDER/shim.lock, flocked, and 4 = a memfd of secrets as
// NAME\0VALUE\0… (or closed: none), and with TERM blocked, so that none is lost on the way. Outlives
// the daemon. Exits with 0 when the outcome is on disk, 2 when it was not called like that, 3 when the
// attempt was already claimed.
#include "agent/os/Files.h"
#include "agent/shim/Supervisor.h"
#include "agent/wire/Failpoint.h"

#include <csignal>
#include <cstdio>
#include <string_view>

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace
{

constexpr int lockFd = 3;
constexpr int secretsFd = 4;

bool isFile(int fd)
{
    struct stat info = {};
    return ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
}

std::map<std::string, std::string> readSecrets()
{
    std::map<std::string, std::string> secrets;
    if (!isFile(secretsFd))
        return secrets;
    ::lseek(secretsFd, 0, SEEK_SET); // wherever who wrote it left off
    const std::string text = agent::readAll(secretsFd).value_or("");
    ::close(secretsFd);
    std::size_t at = 0;
    while (at < text.size())
    {
        const std::size_t nameEnd = text.find('\0', at);
        const std::size_t valueEnd =
            nameEnd == std::string::npos ? nameEnd : text.find('\0', nameEnd + 1);
        if (valueEnd == std::string::npos)
            break;
        secrets[text.substr(at, nameEnd - at)] = text.substr(nameEnd + 1, valueEnd - nameEnd - 1);
        at = valueEnd + 1;
    }
    return secrets;
}

/// Away from whatever the daemon has: its session, its terminal, its descriptors, its signals.
agent::FileDescriptor detach()
{
    ::setsid();
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    ::umask(0077);

    // 0-2 stay open in the command; everything else is ours.
    const int null = ::open("/dev/null", O_RDWR);
    for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        if (null != standard)
            ::dup2(null, standard);
    if (null > STDERR_FILENO)
        ::close(null);
    ::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);

    for (const int ignored : agent::ignoredSignals)
        std::signal(ignored, SIG_IGN);
    struct sigaction onlyEnds = {};
    onlyEnds.sa_handler = SIG_DFL;
    onlyEnds.sa_flags = SA_NOCLDSTOP;
    ::sigaction(SIGCHLD, &onlyEnds, nullptr);
    sigset_t awaited;
    ::sigemptyset(&awaited);
    ::sigaddset(&awaited, SIGTERM);
    ::sigaddset(&awaited, SIGCHLD);
    ::sigprocmask(SIG_SETMASK, &awaited, nullptr);
    return agent::FileDescriptor(::signalfd(-1, &awaited, SFD_NONBLOCK | SFD_CLOEXEC));
}

} // namespace

int main(int argc, char** argv)
{
    if (argc == 2 && std::string_view(argv[1]) == "--version")
    {
        std::puts("stage-shim " STAGE_AGENT_VERSION);
        return 0;
    }
    if (argc != 2 || !isFile(lockFd))
    {
        std::fputs("stage-shim is started by stage-agent: stage-shim FOLDER, with the folder's "
                   "shim.lock open as descriptor 3\n",
                   stderr);
        return 2;
    }
    FAILPOINT("shim.start");
    agent::FileDescriptor signals = detach();
    agent::Supervisor supervisor(argv[1], agent::FileDescriptor(lockFd), readSecrets(),
                                 std::move(signals));
    return supervisor.run() ? 0 : 3;
}
