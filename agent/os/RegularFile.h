#pragma once

#include "agent/os/FileDescriptor.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace agent
{

/// A regular file opened for reading at any place, whoever may have put it there: opening never blocks and
/// follows no symlink at the file's own name.
/// Threads: any, as no position is kept.
class RegularFile
{
public:
    /// Returns nothing when there is no such file.
    /// Errors: std::system_error when it can't be opened or is not a regular file (ELOOP: a symlink, EINVAL
    /// otherwise).
    static std::optional<RegularFile> open(const std::string& file);

    [[nodiscard]] int descriptor() const { return _fd.get(); }

    /// Errors: std::system_error.
    [[nodiscard]] std::uint64_t size() const;

    /// When it was written last, µs since 1970. Errors: std::system_error.
    [[nodiscard]] std::int64_t writtenUs() const;

    /// Fills `buffer` with the bytes from `offset` on. Returns fewer than `size` only at the end of the
    /// file. Errors: std::system_error.
    std::size_t read(std::uint64_t offset, char* buffer, std::size_t size) const;

private:
    explicit RegularFile(FileDescriptor fd) : _fd(std::move(fd)) {}

    FileDescriptor _fd;
};

} // namespace agent
