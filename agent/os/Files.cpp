#include "agent/os/Files.h"

#include "agent/os/FileDescriptor.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <vector>

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

namespace agent
{

std::optional<std::string> readFile(const std::string& file)
{
    const FileDescriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    return fd.valid() ? readAll(fd.get()) : std::nullopt;
}

std::optional<std::string> readAll(int fd)
{
    std::string text;
    char chunk[8192];
    for (;;)
    {
        const ssize_t got = ::read(fd, chunk, sizeof chunk);
        if (got > 0)
            text.append(chunk, static_cast<std::size_t>(got));
        else if (got == 0)
            return text;
        else if (errno != EINTR)
            return std::nullopt;
    }
}

bool writeAll(int fd, std::string_view bytes, std::size_t* written)
{
    return writeAll(fd, std::span<const std::string_view>(&bytes, 1), written);
}

bool writeAll(int fd, std::span<const std::string_view> texts, std::size_t* written)
{
    std::vector<iovec> parts;
    for (const std::string_view text : texts)
        if (!text.empty())
            parts.push_back({.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()});
    std::size_t done = 0;
    bool failed = false;
    for (auto part = parts.begin(); part != parts.end() && !failed;)
    {
        const auto count = std::min<std::ptrdiff_t>(parts.end() - part, IOV_MAX);
        const ssize_t put = ::writev(fd, &*part, static_cast<int>(count));
        if (put == 0)
            errno = EIO;
        failed = put <= 0 && errno != EINTR;
        auto left = static_cast<std::size_t>(std::max<ssize_t>(put, 0));
        done += left;
        for (; part != parts.end() && left >= part->iov_len; ++part)
            left -= part->iov_len;
        if (left > 0)
            *part = {.iov_base = static_cast<char*>(part->iov_base) + left,
                     .iov_len = part->iov_len - left};
    }
    if (written != nullptr)
        *written = done;
    return !failed;
}

} // namespace agent
