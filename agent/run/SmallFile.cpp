#include "agent/run/SmallFile.h"

#include "agent/os/FileDescriptor.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace agent
{

namespace
{

/// Errors: std::runtime_error when others than its owner may read or write the file.
void seeThatItIsPrivate(const struct stat& info, const std::filesystem::path& path)
{
    constexpr mode_t others = S_IRWXG | S_IRWXO;
    if ((info.st_mode & others) == 0)
        return;
    std::array<char, 8> mode{};
    std::snprintf(mode.data(), mode.size(), "%04o", info.st_mode & 07777U);
    throw std::runtime_error("its mode " + std::string(mode.data()) +
                             " lets others than its owner use it: chmod 0600 " + path.string());
}

} // namespace

std::string readSmallFile(const std::filesystem::path& path, std::size_t limit, FileMode mode)
{
    const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    struct stat info = {};
    if (!file.valid() && errno == ELOOP)
        throw std::runtime_error("is a symbolic link, and none is followed");
    if (!file.valid() || ::fstat(file.get(), &info) != 0)
        throw std::runtime_error(std::strerror(errno));
    if (!S_ISREG(info.st_mode))
        throw std::runtime_error("not a regular file");
    if (mode == FileMode::Private)
        seeThatItIsPrivate(info, path);
    std::string content(limit + 1, '\0');
    std::size_t size = 0;
    while (size < content.size())
    {
        const ssize_t got = ::read(file.get(), content.data() + size, content.size() - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            throw std::runtime_error(std::strerror(errno));
        if (got == 0)
            break;
        size += static_cast<std::size_t>(got);
    }
    if (size > limit)
        throw std::runtime_error("larger than " + std::to_string(limit) + " bytes");
    content.resize(size);
    return content;
}

} // namespace agent
