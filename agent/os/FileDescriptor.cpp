#include "agent/os/FileDescriptor.h"

#include <cerrno>

#include <unistd.h>

namespace agent
{

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept
{
    // Taken out first: a move onto itself keeps the descriptor.
    const int taken = other.release();
    reset();
    _fd = taken;
    return *this;
}

void FileDescriptor::reset() noexcept
{
    // Never repeated on EINTR: Linux has released the descriptor by then. errno stays, as this often
    // runs between a failed call and the reading of its errno.
    const int before = errno;
    if (_fd >= 0)
        ::close(_fd);
    _fd = -1;
    errno = before;
}

} // namespace agent
