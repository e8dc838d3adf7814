#pragma once

#include <filesystem>
#include <optional>
#include <string>

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
    ~FileDescriptor();

    [[nodiscard]] int get() const { return _fd; }
    [[nodiscard]] bool valid() const { return _fd >= 0; }

    /// Gives the descriptor away: the caller closes it.
    int release();

private:
    int _fd = -1;
};

/// Reads a small file, also one of /proc or of a cgroup.
/// Errors: nothing when it can't be read; errno says why.
std::optional<std::string> readFile(const std::filesystem::path& file);

/// Writes all of `text` to `fd`.
/// Errors: false; errno says why, and a part may be written.
bool writeAll(int fd, const std::string& text);

} // namespace agent
