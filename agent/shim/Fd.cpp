#include "agent/shim/Fd.h"

#include <cerrno>

#include <fcntl.h>

namespace agent
{

int writeAll(int fd, std::string_view bytes, std::size_t* written)
{
    std::size_t done = 0;
    int error = 0;
    while (done < bytes.size() && error == 0)
    {
        const ssize_t n = ::write(fd, bytes.data() + done, bytes.size() - done);
        if (n > 0)
            done += static_cast<std::size_t>(n);
        else if (n == 0)
            error = EIO;
        else if (errno != EINTR)
            error = errno;
    }
    if (written != nullptr)
        *written = done;
    return error;
}

std::string readFile(const std::string& path, int* error)
{
    const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    std::string text;
    char buffer[8192];
    ssize_t n = file.valid() ? 1 : -1;
    while (n > 0)
    {
        n = ::read(file.get(), buffer, sizeof buffer);
        if (n > 0)
            text.append(buffer, static_cast<std::size_t>(n));
        else if (n < 0 && errno == EINTR)
            n = 1;
    }
    if (error != nullptr)
        *error = n < 0 ? errno : 0;
    return n < 0 ? std::string() : text;
}

} // namespace agent
