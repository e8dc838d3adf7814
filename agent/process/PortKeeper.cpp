#include "agent/process/PortKeeper.h"

#include "agent/wire/KeeperMessage.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

namespace agent
{

namespace
{

constexpr int patienceMs = 5'000; ///< for a keeper that may have been stopped (SIGSTOP)

[[noreturn]] void fail(const char* what)
{
    throw std::system_error(errno, std::generic_category(), what);
}

/// The address of the door, of whatever length the folder's name is.
class Door
{
public:
    explicit Door(const std::filesystem::path& folder)
        : _folder(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC))
    {
        const std::string path =
            "/proc/self/fd/" + std::to_string(_folder.get()) + "/" + keeperDoor;
        _address.sun_family = AF_UNIX;
        std::memcpy(_address.sun_path, path.c_str(), path.size() + 1);
    }

    [[nodiscard]] FileDescriptor listen() const
    {
        FileDescriptor door(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
        // What stands there is of a keeper that was killed.
        if (::unlinkat(_folder.get(), keeperDoor, 0) != 0 && errno != ENOENT)
            fail("cannot remove an old keeper.sock");
        if (!door.valid() || ::bind(door.get(), generic(), sizeof _address) != 0 ||
            ::listen(door.get(), 8) != 0)
            fail("cannot listen on keeper.sock");
        return door;
    }

    [[nodiscard]] FileDescriptor connect() const
    {
        FileDescriptor socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (::connect(socket.get(), generic(), sizeof _address) != 0)
            socket.reset();
        return socket;
    }

private:
    [[nodiscard]] const sockaddr* generic() const
    {
        return reinterpret_cast<const sockaddr*>(&_address);
    }

    FileDescriptor _folder;
    sockaddr_un _address{};
};

/// Returns whether there is something to be read from it in time: a message, or its end.
bool answers(const FileDescriptor& socket)
{
    pollfd event{.fd = socket.get(), .events = POLLIN, .revents = 0};
    int ready = 0;
    do
        ready = ::poll(&event, 1, patienceMs);
    while (ready < 0 && errno == EINTR);
    return ready > 0;
}

} // namespace

PortKeeper::PortKeeper(std::filesystem::path shim, std::filesystem::path folder,
                       std::function<void(const std::string&)> warn)
    : _shim(std::move(shim)), _folder(std::move(folder)), _warn(std::move(warn))
{
}

PortKeeper::~PortKeeper()
{
    if (!_keeper.valid())
        return;
    _sockets.clear();
    // Not closed at once: its end of the connection tells what it does.
    ::shutdown(_keeper.get(), SHUT_WR);
    while (answers(_keeper) && receiveKeeperMessage(_keeper.get()))
        ;
}

std::vector<FileDescriptor> PortKeeper::takeOver()
{
    _keeper = Door(_folder).connect();
    if (!_keeper.valid())
        return {};
    std::optional<KeeperMessage> message;
    if (answers(_keeper))
        message = receiveKeeperMessage(_keeper.get());
    if (message && message->kind == KeeperMessage::Kind::Sockets && message->whole)
        return std::move(message->descriptors);
    drop(); // it was about to end
    return {};
}

void PortKeeper::hold(const std::vector<int>& sockets)
try
{
    _sockets.clear();
    for (const int socket : sockets)
        _sockets.emplace_back(::fcntl(socket, F_DUPFD_CLOEXEC, 0));
    if (_keeper.valid() && !give())
        drop();
    if (!_keeper.valid() && !_sockets.empty())
        start();
}
catch (const std::exception& failure)
{
    drop();
    _warn(std::string("nobody holds the port while the agent restarts: ") + failure.what());
}

void PortKeeper::watch(const FileDescriptor& shim) noexcept
try
{
    if (_sockets.empty())
        return;
    if (_keeper.valid())
    {
        if (sendToKeeper(_keeper.get(), KeeperMessage::Kind::Shim, {shim.get()}))
            return;
        // All else is about the shim, or its turn comes later: to start another keeper would lose the shims that this one knows.
        if (errno != EPIPE && errno != ECONNRESET && errno != ENOTCONN)
            return;
    }
    _warn("the keeper of the agent's port is gone (killed?); another one is started");
    drop();
    start();
    sendToKeeper(_keeper.get(), KeeperMessage::Kind::Shim, {shim.get()});
}
catch (const std::exception& failure)
{
    drop();
    _sockets.clear(); // once is enough
    _warn(std::string("nobody holds the port while the agent restarts: ") + failure.what());
}

void PortKeeper::start()
{
    const FileDescriptor door = Door(_folder).listen();
    int ends[2] = {-1, -1};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        fail("cannot make a socket pair");
    FileDescriptor ours(ends[0]);
    const FileDescriptor its(ends[1]);
    _child = spawnShim(_shim, keepArgument + _folder.string(), its, door);
    _keeper = std::move(ours);
    if (!give())
    {
        errno = ECONNRESET;
        fail("the keeper does not answer");
    }
}

/// Returns whether the keeper holds _sockets now.
bool PortKeeper::give() const
{
    std::vector<int> sockets;
    for (const FileDescriptor& socket : _sockets)
        sockets.push_back(socket.get());
    if (!sendToKeeper(_keeper.get(), KeeperMessage::Kind::Sockets, sockets) || !answers(_keeper))
        return false;
    const auto answer = receiveKeeperMessage(_keeper.get());
    return answer && answer->kind == KeeperMessage::Kind::Done;
}

void PortKeeper::drop() noexcept
{
    _keeper.reset();
    if (_child.pid == 0)
        return;
    siginfo_t info{};
    while (::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(_child.pidfd.get()), &info,
                    WEXITED | WNOHANG) != 0 &&
           errno == EINTR)
        ;
    _child = Child();
}

} // namespace agent
