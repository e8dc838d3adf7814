#include "agent/process/ShimWatch.h"

#include "agent/wire/Failpoint.h"
#include "agent/wire/Handover.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>
#include <string_view>
#include <system_error>
#include <utility>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

namespace agent
{

namespace
{

using Clock = std::chrono::steady_clock;

void watch(int epoll, int fd, std::uint32_t events = EPOLLIN)
{
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    const bool forRoom = (events & EPOLLOUT) != 0; // EPERM: there always is some
    if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0 && !(forRoom && errno == EPERM))
        throw std::system_error(errno, std::generic_category(), "cannot watch a descriptor");
}

/// What epoll_wait is to wait for; rounded up, or the last millisecond would be spun away.
int pause(const std::optional<Clock::time_point>& deadline)
{
    if (!deadline)
        return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now());
    return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, INT_MAX));
}

/// Returns its exit code, if it has one.
std::optional<int> reap(int pidfd)
{
    // ECHILD for a shim that an earlier daemon started: it is init's to reap.
    siginfo_t info{};
    while (::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd), &info,
                    WEXITED | WNOHANG) != 0 &&
           errno == EINTR)
        ;
    return info.si_code == CLD_EXITED ? std::optional(info.si_status) : std::nullopt;
}

} // namespace

/// SIGCHLD as a descriptor.
FileDescriptor changesOfChildren()
{
    sigset_t children;
    ::sigemptyset(&children);
    ::sigaddset(&children, SIGCHLD);
    return FileDescriptor(::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK));
}

ShimWatch::ShimWatch()
    : _epoll(::epoll_create1(EPOLL_CLOEXEC)),
      _wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      _names(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)),
      _changes(changesOfChildren())
{
    if (!_epoll.valid() || !_wake.valid())
        throw std::system_error(errno, std::generic_category(), "cannot make the watch of shims");
    watch(_epoll.get(), _wake.get());
    if (_names.valid())
        watch(_epoll.get(), _names.get());
    if (_changes.valid())
        watch(_epoll.get(), _changes.get());
}

void ShimWatch::add(const std::string& key, Shim shim, const std::filesystem::path& folder)
{
    watch(_epoll.get(), shim.pidfd.get());
    // Only what is renamed into it: the log is written all the time.
    const int names = ::inotify_add_watch(_names.get(), folder.c_str(), IN_MOVED_TO | IN_ONLYDIR);
    _shims.push_back(Watched{.key = key, .shim = std::move(shim), .folder = names});
}

const Shim* ShimWatch::find(const std::string& key) const
{
    const auto found = std::find_if(_shims.begin(), _shims.end(),
                                    [&](const Watched& watched) { return watched.key == key; });
    return found == _shims.end() ? nullptr : &found->shim;
}

std::size_t ShimWatch::size() const
{
    return _shims.size();
}

std::vector<ShimEnd> ShimWatch::wait(std::optional<std::int64_t> timeoutMs)
{
    // A length that the clock can hold; a wait of more than a day is as good as one of a day.
    constexpr std::int64_t longest = 24LL * 3600 * 1000;
    std::optional<Clock::time_point> deadline;
    if (timeoutMs)
        deadline = Clock::now() +
                   std::chrono::milliseconds(std::clamp<std::int64_t>(*timeoutMs, 0, longest));

    std::array<epoll_event, 64> events{};
    int count = 0;
    do
        count = ::epoll_wait(_epoll.get(), events.data(), static_cast<int>(events.size()),
                             pause(deadline));
    while (count < 0 && errno == EINTR);
    if (count < 0)
        throw std::system_error(errno, std::generic_category(), "cannot wait for shims");

    std::vector<ShimEnd> ended;
    for (int i = 0; i < count; ++i)
    {
        const int fd = events[static_cast<std::size_t>(i)].data.fd;
        if (fd == _wake.get())
        {
            std::uint64_t calls = 0;
            [[maybe_unused]] const ssize_t got = ::read(fd, &calls, sizeof calls);
            continue;
        }
        if (fd == _names.get())
        {
            readNames();
            continue;
        }
        if (fd == _changes.get())
        {
            readChanges();
            continue;
        }
        const auto found =
            std::find_if(_shims.begin(), _shims.end(),
                         [&](const Watched& watched) { return watched.shim.pidfd.get() == fd; });
        if (found == _shims.end())
            continue;
        FAILPOINT("reap");
        ShimEnd end{.key = found->key, .pid = found->shim.pid, .outcome = {}, .code = reap(fd)};
        FAILPOINT("reaped");
        if (found->shim.socket.valid())
            end.outcome = toldOutcome(found->shim.socket.get());
        ended.push_back(std::move(end));
        // Removed explicitly: a duplicate of the descriptor would keep it in the epoll set.
        ::epoll_ctl(_epoll.get(), EPOLL_CTL_DEL, fd, nullptr);
        ::inotify_rm_watch(_names.get(), found->folder);
        _shims.erase(found);
    }
    return ended;
}

void ShimWatch::alsoWakeOn(int descriptor)
{
    watch(_epoll.get(), descriptor);
}

void ShimWatch::alsoWakeOnRoom(int descriptor)
{
    watch(_epoll.get(), descriptor, EPOLLOUT | EPOLLET); // at its room it would wake all the time
}

void ShimWatch::readNames()
{
    alignas(inotify_event) std::array<char, 16UL * 1024> events{};
    const ssize_t got = ::read(_names.get(), events.data(), events.size());
    for (ssize_t at = 0; at < got;)
    {
        const auto* event = reinterpret_cast<const inotify_event*>(events.data() + at);
        at += static_cast<ssize_t>(sizeof *event + event->len);
        const bool lost = (event->mask & IN_Q_OVERFLOW) != 0; // it may have been anyone's
        if (!lost && (event->len == 0 || std::string_view(event->name) != files::held))
            continue;
        for (const Watched& watched : _shims)
            if (lost || watched.folder == event->wd)
                _held.insert(watched.key);
    }
}

/// Signals of one number are merged, so the stop of a shim may be missed when another one ends; a deadline of its attempt
/// continues it then (run/RunningAttempt).
void ShimWatch::readChanges()
{
    signalfd_siginfo change{};
    while (::read(_changes.get(), &change, sizeof change) == sizeof change)
    {
        if (change.ssi_code != CLD_STOPPED)
            continue;
        for (const Watched& watched : _shims)
            if (watched.shim.pid == static_cast<int>(change.ssi_pid))
            {
                Launcher::resume(watched.shim);
                _stopped.insert(watched.key);
            }
    }
}

void ShimWatch::wake() noexcept
{
    // The only failure is a counter at its top, and then it is awake anyway.
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t put = ::write(_wake.get(), &one, sizeof one);
}

} // namespace agent
