#include "agent/ctl/UnixConnection.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace agent::ctl
{

int connectUnix(const std::string& socket, std::chrono::microseconds timeout)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::string name = socket;
    int file = -1;
    if (name.size() >= sizeof address.sun_path)
    {
        file = ::open(name.c_str(), O_PATH | O_CLOEXEC);
        if (file < 0)
            return -1;
        name = "/proc/self/fd/" + std::to_string(file);
    }
    std::memcpy(address.sun_path, name.c_str(), name.size() + 1);
    int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    // It bounds connect() too: an agent that hangs with a full backlog would block it.
    const auto seconds = std::chrono::floor<std::chrono::seconds>(timeout);
    const timeval limit{.tv_sec = seconds.count(), .tv_usec = (timeout - seconds).count()};
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (fd >= 0 && ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    {
        const int error = errno;
        ::close(fd);
        fd = -1;
        errno = error;
    }
    const int error = errno;
    if (file >= 0)
        ::close(file);
    errno = error;
    return fd;
}

std::string groupThatMayOpen(const std::string& socket)
{
    struct stat info = {};
    if (::stat(socket.c_str(), &info) != 0)
        return "";
    const group* owner = ::getgrgid(info.st_gid);
    return owner != nullptr ? owner->gr_name : std::to_string(info.st_gid);
}

} // namespace agent::ctl
