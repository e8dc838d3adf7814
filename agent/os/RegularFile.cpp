#include "agent/os/RegularFile.h"

#include <cerrno>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace agent
{

namespace
{

struct stat statusOf(int fd)
{
    struct stat status = {};
    if (::fstat(fd, &status) != 0)
        throw std::system_error(errno, std::generic_category(), "fstat");
    return status;
}

} // namespace

std::optional<RegularFile> RegularFile::open(const std::string& file)
{
    // O_NONBLOCK: opening a FIFO would wait for a writer, opening a device might do anything.
    FileDescriptor fd(
        ::open(file.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC));
    if (!fd.valid() && errno == ENOENT)
        return std::nullopt;
    if (!fd.valid())
        throw std::system_error(errno, std::generic_category(), file);
    if (!S_ISREG(statusOf(fd.get()).st_mode))
        throw std::system_error(EINVAL, std::generic_category(), file + " is not a regular file");
    return RegularFile(std::move(fd));
}

std::uint64_t RegularFile::size() const
{
    return static_cast<std::uint64_t>(statusOf(_fd.get()).st_size);
}

std::int64_t RegularFile::writtenUs() const
{
    const timespec time = statusOf(_fd.get()).st_mtim;
    return std::int64_t{time.tv_sec} * 1'000'000 + time.tv_nsec / 1000;
}

std::size_t RegularFile::read(std::uint64_t offset, char* buffer, std::size_t size) const
{
    std::size_t done = 0;
    while (done < size)
    {
        const ssize_t got =
            ::pread(_fd.get(), buffer + done, size - done, static_cast<off_t>(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            throw std::system_error(errno, std::generic_category(), "pread");
        if (got == 0)
            break;
        done += static_cast<std::size_t>(got);
    }
    return done;
}

} // namespace agent
