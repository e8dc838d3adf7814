#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <unistd.h>

namespace agent
{

/// Owns a file descriptor; closes it at its end. -1 is none.
class Fd
{
public:
    explicit Fd(int fd = -1) : _fd(fd) {}
    Fd(Fd&& other) noexcept : _fd(std::exchange(other._fd, -1)) {}
    Fd& operator=(Fd&& other) noexcept
    {
        std::swap(_fd, other._fd);
        return *this;
    }
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    ~Fd() { reset(); }

    [[nodiscard]] int get() const { return _fd; }
    [[nodiscard]] bool valid() const { return _fd >= 0; }

    void reset()
    {
        if (_fd >= 0)
            ::close(_fd);
        _fd = -1;
    }

private:
    int _fd;
};

/// Writes all of `bytes`. `written`, where given, gets how many were. Shape: 0 or the error number.
int writeAll(int fd, std::string_view bytes, std::size_t* written = nullptr);

/// The whole of a file; empty when it can't be read (and `error`, where given, says why).
std::string readFile(const std::string& path, int* error = nullptr);

} // namespace agent
