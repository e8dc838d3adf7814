#include "agent/process/FileDescriptor.h"

#include <array>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace agent
{

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept
{
    // By way of a temporary: it closes what we held, and a move onto itself keeps it.
    FileDescriptor taken(other.release());
    std::swap(_fd, taken._fd);
    return *this;
}

FileDescriptor::~FileDescriptor()
{
    // Never repeated on EINTR: Linux has released the descriptor by then. errno stays, as this often
    // runs between a failed call and the reading of its errno.
    const int before = errno;
    if (_fd >= 0)
        ::close(_fd);
    errno = before;
}

int FileDescriptor::release()
{
    return std::exchange(_fd, -1);
}

std::optional<std::string> readFile(const std::filesystem::path& file)
{
    const FileDescriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid())
        return std::nullopt;
    std::string text;
    std::array<char, 4096> chunk{};
    for (;;)
    {
        const ssize_t got = ::read(fd.get(), chunk.data(), chunk.size());
        if (got > 0)
            text.append(chunk.data(), static_cast<std::size_t>(got));
        else if (got == 0)
            return text;
        else if (errno != EINTR)
            return std::nullopt;
    }
}

bool writeAll(int fd, const std::string& text)
{
    std::size_t done = 0;
    while (done < text.size())
    {
        const ssize_t put = ::write(fd, text.data() + done, text.size() - done);
        if (put >= 0)
            done += static_cast<std::size_t>(put);
        else if (errno != EINTR)
            return false;
    }
    return true;
}

} // namespace agent
