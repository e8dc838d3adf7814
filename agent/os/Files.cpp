#include "agent/os/Files.h"

#include "agent/os/FileDescriptor.h"

#include <cerrno>

#include <fcntl.h>
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
    std::size_t done = 0;
    bool failed = false;
    while (done < bytes.size() && !failed)
    {
        const ssize_t put = ::write(fd, bytes.data() + done, bytes.size() - done);
        if (put > 0)
            done += static_cast<std::size_t>(put);
        else if (put == 0)
            errno = EIO;
        failed = put <= 0 && errno != EINTR;
    }
    if (written != nullptr)
        *written = done;
    return !failed;
}

} // namespace agent
