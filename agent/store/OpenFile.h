#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <utility>

#include <unistd.h>

namespace agent
{

/// A file opened for reading at any place; closed at its end.
/// Threads: any, as no position is kept.
class OpenFile
{
public:
    /// Shape: nothing when there is no such file.
    /// Errors: std::system_error when it can't be opened for another reason.
    static std::optional<OpenFile> open(const std::filesystem::path& file);

    OpenFile(OpenFile&& other) noexcept : _fd(std::exchange(other._fd, -1)) {}
    OpenFile& operator=(OpenFile&& other) noexcept
    {
        std::swap(_fd, other._fd);
        return *this;
    }
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;
    ~OpenFile()
    {
        if (_fd >= 0)
            ::close(_fd);
    }

    [[nodiscard]] int descriptor() const { return _fd; }

    /// Errors: std::system_error.
    [[nodiscard]] std::uint64_t size() const;

    /// When it was written last, µs since 1970. Errors: std::system_error.
    [[nodiscard]] std::int64_t writtenUs() const;

    /// Fills `buffer` with the bytes from `offset` on. Shape: fewer than `size` only at the end of the
    /// file. Errors: std::system_error.
    std::size_t read(std::uint64_t offset, char* buffer, std::size_t size) const;

private:
    explicit OpenFile(int fd) : _fd(fd) {}

    int _fd = -1;
};

} // namespace agent
