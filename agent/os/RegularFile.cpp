#include "agent/os/RegularFile.h"

#include <cerrno>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace agent
{

namespace
{

struct stat statusOf(int fd)
{
    struct stat status = {};
    if (::fstat(fd, &status) != 0)
        throw std::system_error(errno, std::generic_category(), "fstat");
    return status;
}

/// O_NONBLOCK: opening a FIFO would wait for a writer.
constexpr int asFile = O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC;
constexpr int asFolder = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

/// Where openat2 is missing: a component at a time.
FileDescriptor walk(int at, const std::string& file, int flags)
{
    FileDescriptor folder;
    if (file.starts_with('/'))
        folder = FileDescriptor(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    std::size_t begin = 0;
    for (std::size_t slash = file.find('/'); slash != std::string::npos;
         slash = file.find('/', begin))
    {
        const std::string part = file.substr(begin, slash - begin);
        begin = slash + 1;
        if (part.empty())
            continue;
        const int above = folder.valid() ? folder.get() : at;
        // Without O_DIRECTORY: with it a symlink is reported as ENOTDIR, like a missing file.
        FileDescriptor below(::openat(above, part.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
        if (!below.valid())
            return {};
        if (S_ISLNK(statusOf(below.get()).st_mode))
        {
            errno = ELOOP;
            return {};
        }
        folder = std::move(below);
    }
    const char* last = begin < file.size() ? file.c_str() + begin : ".";
    return FileDescriptor(::openat(folder.valid() ? folder.get() : at, last, flags));
}

FileDescriptor openWithoutSymlinks(int at, const std::string& file, int flags = asFile)
{
    open_how how = {};
    how.flags = static_cast<std::uint64_t>(flags);
    how.resolve = RESOLVE_NO_SYMLINKS;
    FileDescriptor fd(static_cast<int>(::syscall(SYS_openat2, at, file.c_str(), &how, sizeof how)));
    // EPERM: a container's filter that does not know the call.
    if (!fd.valid() && (errno == ENOSYS || errno == EPERM))
        return walk(at, file, flags);
    return fd;
}

} // namespace

std::optional<RegularFile> RegularFile::open(const std::string& file)
{
    return openAt(AT_FDCWD, file);
}

std::optional<RegularFile> RegularFile::openAt(int at, const std::string& file)
{
    FileDescriptor fd = openWithoutSymlinks(at, file);
    if (!fd.valid() && (errno == ENOENT || errno == ENOTDIR))
        return std::nullopt;
    // ENXIO: a socket, or a device without a driver.
    if (!fd.valid() && (errno == ELOOP || errno == ENXIO || errno == ENODEV))
        throw DamagedFile(errno, std::generic_category(), file + " is damaged");
    if (!fd.valid())
        throw std::system_error(errno, std::generic_category(), file);
    if (!S_ISREG(statusOf(fd.get()).st_mode))
        throw DamagedFile(EINVAL, std::generic_category(), file + " is not a regular file");
    return RegularFile(std::move(fd));
}

std::uint64_t RegularFile::size() const
{
    return static_cast<std::uint64_t>(statusOf(_fd.get()).st_size);
}

std::int64_t RegularFile::writtenUs() const
{
    const timespec time = statusOf(_fd.get()).st_mtim;
    return std::int64_t{time.tv_sec} * 1'000'000 + time.tv_nsec / 1000;
}

std::size_t RegularFile::read(std::uint64_t offset, char* buffer, std::size_t size) const
{
    std::size_t done = 0;
    while (done < size)
    {
        const ssize_t got =
            ::pread(_fd.get(), buffer + done, size - done, static_cast<off_t>(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            throw std::system_error(errno, std::generic_category(), "pread");
        if (got == 0)
            break;
        done += static_cast<std::size_t>(got);
    }
    return done;
}

std::string RegularFile::text(std::size_t maxBytes) const
{
    const auto tooLarge = []
    { return DamagedFile(EFBIG, std::generic_category(), "more than was ever written there"); };
    const std::uint64_t size = this->size();
    if (size > maxBytes)
        throw tooLarge();
    // One byte more than its size shows whether it grows; then it is read anew, but not for ever.
    std::string text(static_cast<std::size_t>(size) + 1, '\0');
    std::size_t got = read(0, text.data(), text.size());
    if (got > size)
    {
        text.resize(maxBytes + 1);
        got = read(0, text.data(), text.size());
    }
    if (got > maxBytes)
        throw tooLarge();
    text.resize(got);
    return text;
}

std::optional<std::string> readRegularFile(const std::string& file, std::size_t maxBytes)
{
    const auto opened = RegularFile::open(file);
    return opened ? std::optional(opened->text(maxBytes)) : std::nullopt;
}

FileDescriptor createFile(const std::string& file, int access)
{
    const std::size_t slash = file.rfind('/');
    const std::string name = slash == std::string::npos ? file : file.substr(slash + 1);
    const std::string above = slash == std::string::npos ? "." : file.substr(0, slash + 1);
    // Held from here on: what is put in place of the folder, or of one above it, is not entered.
    const FileDescriptor folder = openWithoutSymlinks(AT_FDCWD, above, asFolder);
    return folder.valid() ? createFileAt(folder.get(), name, access) : FileDescriptor();
}

FileDescriptor createFileAt(int folder, const std::string& name, int access)
{
    if (::unlinkat(folder, name.c_str(), 0) != 0 && errno != ENOENT && errno != EISDIR)
        return {};
    return FileDescriptor(
        ::openat(folder, name.c_str(), access | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
}

} // namespace agent
