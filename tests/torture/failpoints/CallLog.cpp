// Linked with --wrap: each call that brings something to disk leaves a line in STAGE_AGENT_CALL_LOG, in
// order, between those of the failpoints: what must be on disk before what can be checked without
// cutting the power.
#include "agent/wire/Failpoint.h"

#include <climits>
#include <string>

#include <unistd.h>

namespace
{

std::string pathOf(int fd)
{
    char path[PATH_MAX];
    const ssize_t size =
        ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path, sizeof path);
    return {path, static_cast<std::size_t>(size > 0 ? size : 0)};
}

} // namespace

// NOLINTBEGIN: names that the linker's --wrap asks for
extern "C"
{
    int __real_fsync(int fd);
    int __real_fdatasync(int fd);
    int __real_syncfs(int fd);
    int __real_rename(const char* from, const char* to);
    int __real_renameat(int fromFolder, const char* from, int toFolder, const char* to);
    ssize_t __real_pwrite(int fd, const void* bytes, std::size_t size, off_t at);

    int __wrap_fsync(int fd)
    {
        const int result = __real_fsync(fd);
        agent::Failpoint::record("fsync " + pathOf(fd));
        return result;
    }

    int __wrap_fdatasync(int fd)
    {
        const int result = __real_fdatasync(fd);
        agent::Failpoint::record("fdatasync " + pathOf(fd));
        return result;
    }

    int __wrap_syncfs(int fd)
    {
        const int result = __real_syncfs(fd);
        agent::Failpoint::record("syncfs " + pathOf(fd));
        return result;
    }

    int __wrap_rename(const char* from, const char* to)
    {
        const int result = __real_rename(from, to);
        agent::Failpoint::record("rename " + std::string(to));
        return result;
    }

    int __wrap_renameat(int fromFolder, const char* from, int toFolder, const char* to)
    {
        const int result = __real_renameat(fromFolder, from, toFolder, to);
        agent::Failpoint::record("rename " + pathOf(toFolder) + "/" + to);
        return result;
    }

    ssize_t __wrap_pwrite(int fd, const void* bytes, std::size_t size, off_t at)
    {
        const ssize_t result = __real_pwrite(fd, bytes, size, at);
        agent::Failpoint::record("pwrite " + pathOf(fd));
        return result;
    }
}
// NOLINTEND
