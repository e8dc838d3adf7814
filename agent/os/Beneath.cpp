#include "agent/os/Beneath.h"

#include <cerrno>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace agent
{

namespace
{

constexpr int asPlace = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

/// Where openat2 is missing: a component at a time, none of them a symlink or on another device.
FileDescriptor walkBeneath(int root, const std::filesystem::path& path)
{
    errno = ENOENT;
    if (path.empty())
        return {};
    struct stat begin = {};
    FileDescriptor at(::openat(root, ".", asPlace));
    if (!at.valid() || ::fstat(at.get(), &begin) != 0)
        return {};
    for (const auto& part : path)
    {
        struct stat here = {};
        errno = EXDEV;
        if (part == ".." || part.is_absolute())
            return {};
        at = FileDescriptor(::openat(at.get(), part.c_str(), asPlace));
        if (!at.valid() || ::fstat(at.get(), &here) != 0)
            return {};
        errno = EXDEV;
        if (here.st_dev != begin.st_dev)
            return {};
    }
    return at;
}

} // namespace

FileDescriptor placeBeneath(int root, const std::filesystem::path& path)
{
    open_how how = {};
    how.flags = asPlace;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
    FileDescriptor place(
        static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how)));
    // EPERM: a container's filter that does not know the call.
    if (!place.valid() && (errno == ENOSYS || errno == EPERM))
        return walkBeneath(root, path);
    return place;
}

} // namespace agent
