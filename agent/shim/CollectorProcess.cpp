#include "agent/shim/CollectorProcess.h"

#include "agent/os/Files.h"
#include "agent/shim/ChildProcess.h"
#include "agent/shim/Verdict.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace agent
{

namespace
{

/// A process that is killed may be in a system call that can't be interrupted: its shim does not wait for it, and it dies
/// with its shim at the latest. The daemon waits five seconds for the end of a stage that it stops.
constexpr std::chrono::seconds killPatience{2};

constexpr std::chrono::hours unlimited{24};

/// Above what it becomes in the child.
FileDescriptor memoryFile(const char* name)
{
    const FileDescriptor low(::memfd_create(name, MFD_CLOEXEC));
    return FileDescriptor(low.valid() ? ::fcntl(low.get(), F_DUPFD_CLOEXEC, 64) : -1);
}

std::string describeEnd(int status)
{
    if (WIFSIGNALED(status))
        return "it was killed by signal " + std::to_string(WTERMSIG(status));
    return "it exited with code " + std::to_string(WEXITSTATUS(status));
}

} // namespace

std::optional<Collected> CollectorProcess::run(const FileDescriptor& signals,
                                               const std::function<bool()>& stopAsked)
{
    const FileDescriptor order = memoryFile("order");
    const FileDescriptor answer = memoryFile("answer");
    const FileDescriptor null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!order.valid() || !answer.valid() || !null.valid() ||
        !writeAll(order.get(), toJson(_order)) || ::lseek(order.get(), 0, SEEK_SET) != 0)
    {
        _failure = std::string("the collector could not be started: ") + std::strerror(errno);
        return std::nullopt;
    }
    std::vector<std::string> argv{_order.collect->program, _folder};
    if (!_artifacts)
        argv.emplace_back("--without-artifacts");
    ChildProcess child(
        {.argv = std::move(argv), .env = {"PATH=/usr/bin:/bin"}, .cwd = "/", .umask = 077});
    const bool started = child.start(
        {.output = null.get(), .errors = null.get(), .more = {order.get(), answer.get()}}, -1);
    const auto status = started ? await(child.pid(), signals, stopAsked) : std::nullopt;
    if (!child.failure().empty())
        _failure = "the collector could not be started: " + child.failure();
    else if (_failure.empty() && status != 0)
        _failure = "the collector failed: " + describeEnd(status.value_or(0));
    if (!_failure.empty() || ::lseek(answer.get(), 0, SEEK_SET) != 0)
        return std::nullopt;
    auto collected = collectedFrom(readAll(answer.get()).value_or(""));
    if (!collected)
        _failure = "the collector gave no answer";
    return collected;
}

/// Returns its wait status; nothing where it is not waited for any longer.
std::optional<int> CollectorProcess::await(pid_t pid, const FileDescriptor& signals,
                                           const std::function<bool()>& stopAsked)
{
    const auto limit = std::chrono::milliseconds(_order.collect->timeoutMs);
    auto deadline = Clock::now() + (limit.count() > 0 ? limit : Clock::duration(unlimited));
    bool killed = false;
    while (true)
    {
        int status = 0;
        if (::waitpid(pid, &status, WNOHANG) == pid)
            return status;
        const bool stopped = stopAsked();
        const auto now = Clock::now();
        if (killed && now >= deadline)
            return std::nullopt;
        if (!killed && (stopped || now >= deadline))
        {
            _failure = stopped ? "the stage was stopped while its files were collected"
                               : "collecting took longer than artifacts.timeout";
            ::kill(pid, SIGKILL);
            killed = true;
            deadline = now + killPatience;
        }
        // Both are looked at in any case: the signal may have come before the wait.
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - now);
        pollfd event{.fd = signals.get(), .events = POLLIN, .revents = 0};
        ::poll(&event, 1, static_cast<int>(std::clamp<std::int64_t>(left.count(), 1, 3'600'000)));
    }
}

void collectFiles(Outcome& outcome, const Order& order, const std::string& folder,
                  const FileDescriptor& signals, const std::function<bool()>& stopAsked)
{
    const CollectOrder& collect = *order.collect;
    // Whoever stops a stage waits for its end.
    if (outcome.cause == Cause::Stopped)
        return;
    const bool wanted =
        !collect.paths.empty() && (collect.when == RunsAfter::Always ||
                                   outcome.succeeded() == (collect.when == RunsAfter::Success));
    if (!wanted && collect.junit.empty())
        return;
    CollectorProcess collector(order, folder, wanted);
    const auto collected = collector.run(signals, stopAsked);
    judgeFiles(outcome, collect, wanted,
               collected.value_or(Collected{.problem = collector.failure()}));
}

} // namespace agent
