#pragma once

#include "agent/os/FileDescriptor.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

namespace agent
{

/// A file that a stage replaced by what nobody may read: a symlink, a FIFO, a device, a socket, a folder, or one
/// that is too large. So is one whose path leads over a symlink.
class DamagedFile: public std::system_error
{
public:
    using std::system_error::system_error;
};

/// A regular file opened for reading at any place, whoever may have put it there: opening never blocks and
/// follows no symlink, be it of the file's own name or of a folder above.
/// Threads: any, as no position is kept.
/// Source: openat2(2), RESOLVE_NO_SYMLINKS; where the kernel has none, the same step by step.
class RegularFile
{
public:
    /// Opens `file`, relative to the folder `at` (AT_FDCWD without).
    /// Returns nothing when there is no such file.
    /// Errors: DamagedFile; std::system_error when it can't be opened for another reason.
    static std::optional<RegularFile> open(const std::string& file);
    static std::optional<RegularFile> openAt(int at, const std::string& file);

    [[nodiscard]] int descriptor() const { return _fd.get(); }

    /// Errors: std::system_error.
    [[nodiscard]] std::uint64_t size() const;

    /// When it was written last, µs since 1970. Errors: std::system_error.
    [[nodiscard]] std::int64_t writtenUs() const;

    /// Fills `buffer` with the bytes from `offset` on. Returns fewer than `size` only at the end of the
    /// file. Errors: std::system_error.
    std::size_t read(std::uint64_t offset, char* buffer, std::size_t size) const;

    /// All of it. Errors: DamagedFile (EFBIG) when there are more than `maxBytes`; std::system_error.
    [[nodiscard]] std::string text(std::size_t maxBytes) const;

private:
    explicit RegularFile(FileDescriptor fd) : _fd(std::move(fd)) {}

    FileDescriptor _fd;
};

/// The text of a file that a stage could have touched. Returns nothing when there is none.
/// Errors: as RegularFile::open() and text().
std::optional<std::string> readRegularFile(const std::string& file, std::size_t maxBytes);

/// Makes a new file, mode 0600, in place of what stands there: it is removed, so that neither a FIFO blocks
/// nor a symlink leads elsewhere, be it one above it: its folder is opened without following any, and held.
/// `access`: O_WRONLY or the like, O_APPEND.
/// Errors: an invalid descriptor; errno says why (EEXIST: a folder stands there).
FileDescriptor createFile(const std::string& file, int access);

/// The same for `name` in a folder that is held already.
FileDescriptor createFileAt(int folder, const std::string& name, int access);

} // namespace agent
