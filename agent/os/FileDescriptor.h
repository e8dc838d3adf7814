#pragma once

namespace agent
{

/// Owns a file descriptor; closes it at its end. -1 is none.
class FileDescriptor
{
public:
    FileDescriptor() = default;
    explicit FileDescriptor(int fd) : _fd(fd) {}
    FileDescriptor(FileDescriptor&& other) noexcept : _fd(other.release()) {}
    FileDescriptor& operator=(FileDescriptor&& other) noexcept;
    FileDescriptor(const FileDescriptor&) = delete;
    FileDescriptor& operator=(const FileDescriptor&) = delete;
    ~FileDescriptor() { reset(); }

    [[nodiscard]] int get() const { return _fd; }
    [[nodiscard]] bool valid() const { return _fd >= 0; }

    /// Closes it now. errno stays as it was.
    void reset() noexcept;

    /// Gives the descriptor away: the caller closes it.
    int release() noexcept
    {
        const int fd = _fd;
        _fd = -1;
        return fd;
    }

private:
    int _fd = -1;
};

} // namespace agent
