#include "agent/store/OpenFile.h"

#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>

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

std::optional<OpenFile> OpenFile::open(const std::filesystem::path& file)
{
    OpenFile opened(::open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (opened._fd >= 0)
        return opened;
    if (errno == ENOENT)
        return std::nullopt;
    throw std::system_error(errno, std::generic_category(), file.string());
}

std::uint64_t OpenFile::size() const
{
    return static_cast<std::uint64_t>(statusOf(_fd).st_size);
}

std::int64_t OpenFile::writtenUs() const
{
    const timespec time = statusOf(_fd).st_mtim;
    return std::int64_t{time.tv_sec} * 1'000'000 + time.tv_nsec / 1000;
}

std::size_t OpenFile::read(std::uint64_t offset, char* buffer, std::size_t size) const
{
    std::size_t done = 0;
    while (done < size)
    {
        const ssize_t got =
            ::pread(_fd, buffer + done, size - done, static_cast<off_t>(offset + done));
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
