#include "agent/api/UnixSocket.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace agent
{

namespace
{

std::string reason(int error)
{
    return std::generic_category().message(error);
}

std::string linkOf(const FileDescriptor& descriptor)
{
    return "/proc/self/fd/" + std::to_string(descriptor.get());
}

/// Nothing when the path is too long.
std::optional<sockaddr_un> addressOf(const std::string& path)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return std::nullopt;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
}

} // namespace

UnixSocket::UnixSocket(std::filesystem::path path, std::optional<gid_t> group,
                       const std::function<void(const std::string&)>& warn)
    : _path(std::move(path)),
      _name(_path.filename()),
      _folder(::open(_path.parent_path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC))
{
    if (!_folder.valid())
        fail("the folder: " + reason(errno) +
             ". Make it (RuntimeDirectory= in a unit), or set http.socket to another path");
    removeStale();
    bind();
    share(group, warn);
    // Only now: who connects before the file has its owner and mode is refused.
    if (::listen(_socket.get(), SOMAXCONN) != 0)
        fail(reason(errno));
}

UnixSocket::~UnixSocket()
{
    struct stat ours = {};
    struct stat found = {};
    if (_file.valid() && ::fstat(_file.get(), &ours) == 0 &&
        ::fstatat(_folder.get(), _name.c_str(), &found, AT_SYMLINK_NOFOLLOW) == 0 &&
        ours.st_dev == found.st_dev && ours.st_ino == found.st_ino)
        ::unlinkat(_folder.get(), _name.c_str(), 0);
}

void UnixSocket::fail(const std::string& why) const
{
    throw std::runtime_error("cannot listen on " + _path.string() + ": " + why);
}

void UnixSocket::removeStale() const
{
    const FileDescriptor file(
        ::openat(_folder.get(), _name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat found = {};
    if (!file.valid() && errno == ENOENT)
        return;
    if (!file.valid() || ::fstat(file.get(), &found) != 0)
        fail(reason(errno));
    if (!S_ISSOCK(found.st_mode))
        fail("this exists and is no socket. Remove it, or set http.socket to another path");
    if (found.st_uid != ::geteuid())
        fail("a socket of another user (uid " + std::to_string(found.st_uid) +
             ") is there. Remove it, or set http.socket to another path");
    const FileDescriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const auto address = addressOf(linkOf(file));
    const auto* const generic = reinterpret_cast<const sockaddr*>(&*address);
    if (::connect(probe.get(), generic, sizeof *address) == 0 || errno != ECONNREFUSED)
        fail("another program listens there. End it, or set http.socket to another path");
    if (::unlinkat(_folder.get(), _name.c_str(), 0) != 0)
        fail(reason(errno));
}

void UnixSocket::bind()
{
    _socket = FileDescriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    // By its name where that fits: it is what `ss -x` shows.
    auto address = addressOf(_path);
    if (!address)
        address = addressOf(linkOf(_folder) + "/" + _name);
    if (!address)
        fail("the name is too long. Set http.socket to a shorter one");
    // The process's umask lets nobody else in until share().
    if (!_socket.valid() ||
        ::bind(_socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0)
        fail(reason(errno));
    _file = FileDescriptor(::openat(_folder.get(), _name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat found = {};
    if (!_file.valid() || ::fstat(_file.get(), &found) != 0 || !S_ISSOCK(found.st_mode) ||
        found.st_uid != ::geteuid())
        fail("something else has taken its place");
}

void UnixSocket::share(std::optional<gid_t> group,
                       const std::function<void(const std::string&)>& warn)
{
    if (group && ::fchownat(_file.get(), "", static_cast<uid_t>(-1), *group, AT_EMPTY_PATH) != 0)
    {
        const int error = errno;
        const ::group* named = ::getgrgid(*group);
        warn("the group of auth.operators_group can't open " + _path.string() + ": " +
             reason(error) + ". The agent's user must be a member of it: usermod -aG " +
             (named != nullptr ? named->gr_name : std::to_string(*group)) +
             " USER, or SupplementaryGroups= in the unit");
    }
    // Not fchmod: it refuses an O_PATH descriptor.
    if (::chmod(linkOf(_file).c_str(), 0660) != 0)
        fail(reason(errno));
}

} // namespace agent
