#include "agent/process/SpareShim.h"

#include "agent/wire/Failpoint.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <exception>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace agent
{

namespace
{

/// Room in the shim's arguments for the name of its folder, which `ps` is to show.
constexpr std::size_t titleBytes = 512;

/// For one that was killed. In state D, as on a disk that does not answer, it may last for ever.
constexpr std::chrono::milliseconds endPatience{2'000};

bool endsInTime(const FileDescriptor& pidfd)
{
    using std::chrono::milliseconds;
    using Clock = std::chrono::steady_clock;
    const auto deadline = Clock::now() + endPatience;
    pollfd event{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
    int ready = 0;
    do
    {
        const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
        ready = ::poll(&event, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
    } while (ready < 0 && errno == EINTR);
    return ready > 0;
}

} // namespace

void SpareShim::refill() noexcept
{
    const std::lock_guard turn(_mutex);
    if (_socket.valid())
        return;
    try
    {
        int ends[2] = {-1, -1};
        if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
            return;
        FileDescriptor ours(ends[0]);
        const FileDescriptor its(ends[1]);
        std::string argument = waitArgument;
        argument.resize(titleBytes, ' ');
        _child = spawnShim(_program, argument, its, {});
        _socket = std::move(ours);
        FAILPOINT("spare");
    }
    catch (const std::exception&)
    {
        _socket.reset(); // the next launch says why, if it fails too
    }
}

bool SpareShim::hand(const std::filesystem::path& folder, const FileDescriptor& lock,
                     const FileDescriptor& secrets, Start start)
{
    if (!_socket.valid() || _armed)
        return false;
    FAILPOINT("launch.handover");
    const bool handed =
        sendHandover(_socket.get(), folder.string(), lock.get(), secrets.get(), start);
    if (!handed)
        endIt();
    FAILPOINT("launch.handed");
    return handed;
}

std::optional<Child> SpareShim::take(const std::filesystem::path& folder,
                                     const FileDescriptor& lock, const FileDescriptor& secrets)
{
    const std::lock_guard turn(_mutex);
    if (!hand(folder, lock, secrets, Start::Now))
        return std::nullopt;
    return giveAway();
}

bool SpareShim::arm(const std::filesystem::path& folder, const FileDescriptor& lock,
                    const FileDescriptor& secrets)
{
    const std::lock_guard turn(_mutex);
    if (!hand(folder, lock, secrets, Start::AtWord))
        return false;
    _armed = true;
    return true;
}

std::optional<Child> SpareShim::go()
{
    const std::lock_guard turn(_mutex);
    if (!_armed)
        return std::nullopt;
    FAILPOINT("launch.go");
    if (!sendGo(_socket.get()))
    {
        endIt();
        return std::nullopt;
    }
    return giveAway();
}

void SpareShim::disarm() noexcept
{
    const std::lock_guard turn(_mutex);
    if (_armed)
        endIt();
}

int SpareShim::pid() const
{
    const std::lock_guard turn(_mutex);
    return _child.pid;
}

FileDescriptor SpareShim::pidfd() const
{
    const std::lock_guard turn(_mutex);
    return FileDescriptor(::fcntl(_child.pidfd.get(), F_DUPFD_CLOEXEC, 0));
}

void SpareShim::end() noexcept
{
    const std::lock_guard turn(_mutex);
    endIt();
}

/// It is no spare any more.
Child SpareShim::giveAway()
{
    _armed = false;
    Child child = std::exchange(_child, Child());
    child.socket = std::move(_socket);
    return child;
}

void SpareShim::endIt() noexcept
{
    _armed = false;
    if (!_socket.valid())
        return;
    _socket.reset();
    // It would exit by itself; but a stopped one would never end.
    ::syscall(SYS_pidfd_send_signal, _child.pidfd.get(), SIGKILL, nullptr, 0);
    if (endsInTime(_child.pidfd))
    {
        siginfo_t info{};
        while (::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(_child.pidfd.get()),
                        &info, WEXITED) != 0 &&
               errno == EINTR)
            ;
    }
    _child = Child(); // one that is still there is an orphan, which the launcher reaps
}

} // namespace agent
