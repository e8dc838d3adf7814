#include "agent/shim/Keeper.h"

#include "agent/wire/KeeperMessage.h"

#include <cerrno>
#include <optional>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace agent
{

namespace
{

using Kind = KeeperMessage::Kind;

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
        else if (message->kind == Kind::Sockets)
        {
            _sockets = std::move(message->descriptors);
            _dismissed = _sockets.empty();
            sendToKeeper(_daemon.get(), Kind::Done);
        }
        else if (message->kind == Kind::Shim)
            for (FileDescriptor& shim : message->descriptors)
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
    Keeper(std::move(daemon), door).run();
    ::unlink((folder + "/" + keeperDoor).c_str());
}

} // namespace agent
