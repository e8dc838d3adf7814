#include "agent/shim/Keeper.h"

#include "agent/os/DescriptorLimit.h"
#include "agent/os/Files.h"
#include "agent/wire/KeeperMessage.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace agent
{

namespace
{

using Kind = KeeperMessage::Kind;

/// Returns the process of a pidfd; -1 when it was reaped, 0 when that can't be known. Source: pidfd_open(2).
int pidOf(const FileDescriptor& pidfd)
{
    const std::string info =
        readFile("/proc/self/fdinfo/" + std::to_string(pidfd.get())).value_or("");
    constexpr std::string_view name = "\nPid:\t";
    const std::size_t at = info.find(name);
    return at == info.npos ? 0 : std::atoi(info.c_str() + at + name.size());
}

/// The file at the door's path, whose ever it is.
class DoorFile
{
public:
    explicit DoorFile(const std::string& folder) : _path(folder + "/" + keeperDoor)
    {
        if (::lstat(_path.c_str(), &_ours) != 0)
            _ours = {};
    }

    /// Removes it if it is still the same one: another keeper may have put its own there.
    void remove() const
    {
        struct stat now = {};
        if (::lstat(_path.c_str(), &now) == 0 && now.st_dev == _ours.st_dev &&
            now.st_ino == _ours.st_ino)
            ::unlink(_path.c_str());
    }

private:
    std::string _path;
    struct stat _ours = {};
};

class Keeper
{
public:
    Keeper(FileDescriptor daemon, const FileDescriptor& door)
        : _daemon(std::move(daemon)), _door(door)
    {
    }

    void run()
    {
        while (!_dismissed && (_daemon.valid() || !_shims.empty()))
            step();
        // Before the daemon can know that we are gone: it listens anew then.
        _sockets.clear();
    }

private:
    void step()
    {
        std::vector<pollfd> events{
            {.fd = _daemon.valid() ? _daemon.get() : _door.get(), .events = POLLIN, .revents = 0}};
        for (const FileDescriptor& shim : _shims)
            events.push_back({.fd = shim.get(), .events = POLLIN, .revents = 0});
        if (::poll(events.data(), events.size(), -1) < 0)
            return;
        for (std::size_t i = _shims.size(); i > 0; --i)
            if (events[i].revents != 0)
                _shims.erase(_shims.begin() + static_cast<std::ptrdiff_t>(i - 1));
        if (events[0].revents == 0)
            return;
        if (_daemon.valid())
            listenToDaemon();
        else
            admit();
    }

    void listenToDaemon()
    {
        auto message = receiveKeeperMessage(_daemon.get());
        if (!message)
        {
            // It looks at its end of the connection to know what we do.
            if (_shims.empty())
                _sockets.clear();
            _daemon.reset();
        }
        else if (message->kind == Kind::Sockets && !message->whole)
            _daemon
                .reset(); // it starts another keeper; we hold what we have, as long as our shims live
        else if (message->kind == Kind::Sockets)
        {
            _sockets = std::move(message->descriptors);
            _dismissed = _sockets.empty();
            sendToKeeper(_daemon.get(), Kind::Done);
        }
        else if (message->kind == Kind::Shim)
            for (FileDescriptor& shim : message->descriptors)
                add(std::move(shim));
    }

    /// Each daemon sends all that it adopts: without this a descriptor would be lost for each of them.
    void add(FileDescriptor shim)
    {
        const int pid = pidOf(shim);
        const bool known =
            pid > 0 && std::any_of(_shims.begin(), _shims.end(),
                                   [&](const FileDescriptor& one) { return pidOf(one) == pid; });
        if (!known)
            _shims.push_back(std::move(shim));
    }

    void admit()
    {
        FileDescriptor next(::accept4(_door.get(), nullptr, nullptr, SOCK_CLOEXEC));
        ucred peer{};
        socklen_t size = sizeof peer;
        if (!next.valid() || ::getsockopt(next.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 ||
            (peer.uid != ::geteuid() && peer.uid != 0))
            return;
        std::vector<int> sockets;
        for (const FileDescriptor& socket : _sockets)
            sockets.push_back(socket.get());
        if (sendToKeeper(next.get(), Kind::Sockets, sockets))
            _daemon = std::move(next);
    }

    FileDescriptor _daemon;
    const FileDescriptor& _door;
    std::vector<FileDescriptor> _sockets;
    std::vector<FileDescriptor> _shims; ///< pidfds of those that live
    bool _dismissed = false;
};

} // namespace

void keepSockets(FileDescriptor daemon, const FileDescriptor& door, const std::string& folder)
{
    const DoorFile file(folder);
    raiseDescriptorLimit(); // a shim that we can't watch is one whose end we don't wait for
    Keeper(std::move(daemon), door).run();
    file.remove();
}

} // namespace agent
