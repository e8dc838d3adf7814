// stage-shim FOLDER: runs the one attempt whose order.json is in FOLDER and writes how it ended.
// stage-shim --wait: waits until the daemon hands over an attempt, then does the same.
// stage-shim '--keep STATE': holds the daemon's listening sockets while there is none (Keeper.h).
// stage-shim --first-process: is the first process of a stage's sandbox (FirstProcess.h).
// stage-shim --probe-sandbox BWRAP: makes a sandbox as stages have it, which tells the version; bwrap's exit code.
// stage-shim --version: tells its version.
//
// Started by the daemon with descriptor 3 = FOLDER/shim.lock, flocked, and 4 = a memfd of secrets as
// NAME\0VALUE\0… (or something else: none; without a name: masked only), and with TERM blocked, so that none is lost on the way. One that
// waits has a socket as descriptor 3, gets both through it and tells the outcome there (wire/Handover.h); it exits when
// the daemon is gone, or at TERM, and with an attempt that waits for its word when the daemon is gone. A keeper has its socket
// to the daemon as descriptor 3, and its door as 4. With an attempt that it may execute it outlives the daemon. Exits with 0 when the outcome is in place, or
// there was no attempt for it, 2 when it was not called like that, 3 when the attempt was already claimed, 4 when
// the attempt's folder refused the outcome.
#include "agent/os/Files.h"
#include "agent/shim/Bubblewrap.h"
#include "agent/shim/FirstProcess.h"
#include "agent/shim/IgnoredSignals.h"
#include "agent/shim/Keeper.h"
#include "agent/shim/OomScore.h"
#include "agent/shim/Sandbox.h"
#include "agent/shim/Supervisor.h"
#include "agent/wire/Failpoint.h"
#include "agent/wire/Handover.h"
#include "agent/wire/KeeperMessage.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string_view>

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
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

/// Reads what came through the memfd: secrets, and behind them the seal.
void readMemory(const agent::FileDescriptor& memory, agent::Supervisor::Received& received)
{
    if (!isFile(memory.get()))
        return;
    ::lseek(memory.get(), 0, SEEK_SET); // wherever who wrote it left off
    const std::string text = agent::readAll(memory.get()).value_or("");
    std::size_t at = 0;
    while (at < text.size())
    {
        const std::size_t nameEnd = text.find('\0', at);
        const std::size_t valueEnd =
            nameEnd == std::string::npos ? nameEnd : text.find('\0', nameEnd + 1);
        if (valueEnd == std::string::npos)
            break;
        std::string value = text.substr(nameEnd + 1, valueEnd - nameEnd - 1);
        if (nameEnd == at)
            received.masks.push_back(std::move(value));
        else
            received.secrets[text.substr(at, nameEnd - at)] = std::move(value);
        at = valueEnd + 1;
    }
    received.seal = agent::Seal::fromText(std::string_view(text).substr(at));
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

/// Closes memory, descriptors and environment to processes of the same user, the stage's above all: the seal is in there,
/// and secrets. Most of our files in /proc are root's from here on. Source: PR_SET_DUMPABLE(2const), ptrace(2).
void hide()
{
    agent::OomScore::ours();
    ::prctl(PR_SET_DUMPABLE, 0);
}

/// Blocks until the daemon hands over an attempt. Returns nothing when it is gone or we are to end.
std::optional<agent::Handover> awaitHandover(const agent::FileDescriptor& socket,
                                             const agent::FileDescriptor& signals)
{
    pollfd events[] = {{.fd = socket.get(), .events = POLLIN, .revents = 0},
                       {.fd = signals.get(), .events = POLLIN, .revents = 0}};
    while (::poll(events, 2, -1) < 0 && errno == EINTR)
        ;
    // An attempt that is on its way comes before a TERM: it is to say that it was stopped.
    return events[0].revents != 0 ? agent::receiveHandover(socket.get()) : std::nullopt;
}

/// Becomes bubblewrap, with what a stage without workspace would have. Returns only where it can't.
int probeSandbox(const char* bubblewrap)
try
{
    agent::Order order;
    order.sandbox = agent::SandboxOrder{.program = bubblewrap};
    auto arguments = agent::bubblewrapArguments(order, "");
    const int program = ::open("/proc/self/exe", O_PATH);
    arguments.emplace_back("--");
    arguments.push_back("/proc/self/fd/" + std::to_string(program));
    arguments.emplace_back("--version");
    std::vector<char*> argv;
    for (std::string& argument : arguments)
        argv.push_back(argument.data());
    argv.push_back(nullptr);
    char* nothing = nullptr;
    ::execve(bubblewrap, argv.data(), &nothing);
    std::perror(bubblewrap);
    return 1;
}
catch (const std::exception& error)
{
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}

/// Lets `ps` show the folder, as of a shim that was started with it.
void showFolder(char* argument, const std::string& folder)
{
    const std::size_t room = std::strlen(argument);
    std::memset(argument, 0, room);
    std::copy_n(folder.data(), std::min(folder.size(), room), argument);
}

} // namespace

int main(int argc, char** argv)
{
    if (argc == 2 && std::string_view(argv[1]) == "--version")
    {
        std::puts("stage-shim " STAGE_AGENT_VERSION);
        return 0;
    }
    if (argc == 2 && std::string_view(argv[1]) == agent::sandboxed::argument)
        return agent::runFirstProcess();
    if (argc == 3 && std::string_view(argv[1]) == "--probe-sandbox")
        return probeSandbox(argv[2]);
    const bool waits = argc == 2 && std::string_view(argv[1]).starts_with(agent::waitArgument);
    const bool keeps = argc == 2 && std::string_view(argv[1]).starts_with(agent::keepArgument);
    if (argc != 2 || (!waits && !keeps && !isFile(lockFd)))
    {
        std::fputs("stage-shim is started by stage-agent: stage-shim FOLDER, with the folder's "
                   "shim.lock open as descriptor 3\n",
                   stderr);
        return 2;
    }
    if (keeps)
    {
        agent::FileDescriptor daemon(lockFd);
        const agent::FileDescriptor door(secretsFd);
        const agent::FileDescriptor signals = detach();
        hide();
        agent::keepSockets(std::move(daemon), door,
                           argv[1] + std::string_view(agent::keepArgument).size());
        return 0;
    }
    FAILPOINT("shim.start");
    // Before anything else is opened: 4 may be free, and would be something else then.
    agent::Handover attempt;
    attempt.lock = agent::FileDescriptor(lockFd);
    if (isFile(secretsFd))
        attempt.secrets = agent::FileDescriptor(secretsFd);
    agent::Supervisor::Received received;
    received.signals = detach();
    hide();
    received.claim = agent::Supervisor::ownClaim();
    attempt.folder = argv[1];
    if (waits)
    {
        auto handover = awaitHandover(attempt.lock, received.signals);
        if (!handover)
            return 0;
        received.daemon = std::move(attempt.lock);
        received.start = handover->start;
        attempt = std::move(*handover);
        showFolder(argv[1], attempt.folder);
        FAILPOINT("shim.handover");
    }
    readMemory(attempt.secrets, received);
    attempt.secrets.reset();
    received.folder = std::move(attempt.folder);
    received.lock = std::move(attempt.lock);
    agent::Supervisor supervisor(std::move(received));
    using Result = agent::Supervisor::Result;
    const Result result = supervisor.run();
    // What is open is closed by that, and sooner.
    ::_exit(result == Result::ClaimedBefore ? 3 : result == Result::FolderRefusesIt ? 4 : 0);
}
