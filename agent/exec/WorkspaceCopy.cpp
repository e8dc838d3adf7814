#include "agent/exec/WorkspaceCopy.h"

#include "agent/os/FileDescriptor.h"

#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <memory>
#include <string>
#include <string_view>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace agent
{

namespace
{

// No build nests deeper; a stage could, to exhaust our stack and descriptors.
constexpr int deepest = 512;

/// A folder of each side, and what it is called in messages.
struct Pair
{
    int from;
    int to;
    std::string path;
};

[[noreturn]] void fail(const std::string& path)
{
    throw std::system_error(errno, std::generic_category(), "can't copy " + path);
}

void copyTimes(int to, const char* name, const struct stat& info)
{
    const std::array<timespec, 2> times{info.st_atim, info.st_mtim};
    static_cast<void>(::utimensat(to, name, times.data(), AT_SYMLINK_NOFOLLOW));
}

void copyBytes(int from, int to, const std::string& path)
{
    if (::ioctl(to, FICLONE, from) == 0)
        return;
    constexpr std::size_t piece = std::size_t{1} << 30;
    while (true)
    {
        const ssize_t copied = ::copy_file_range(from, nullptr, to, nullptr, piece, 0);
        if (copied < 0 && errno != EINTR)
            break;
        if (copied == 0)
            return;
    }
    // Between file systems that can't do it, from where it stopped.
    std::array<char, 65536> buffer{};
    while (true)
    {
        const ssize_t size = ::read(from, buffer.data(), buffer.size());
        if (size < 0)
            fail(path);
        if (size == 0)
            return;
        for (ssize_t done = 0; done < size;)
        {
            const ssize_t written =
                ::write(to, buffer.data() + done, static_cast<std::size_t>(size - done));
            if (written < 0)
                fail(path);
            done += written;
        }
    }
}

void copyFile(const Pair& folders, const char* name, const std::string& path)
{
    const FileDescriptor from(
        ::openat(folders.from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat info = {};
    if (!from.valid() || ::fstat(from.get(), &info) != 0)
        fail(path);
    if (!S_ISREG(info.st_mode)) // replaced since it was looked at
        return;
    const FileDescriptor to(
        ::openat(folders.to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!to.valid())
        fail(path);
    copyBytes(from.get(), to.get(), path);
    // Not the bits that give the file's user to whoever executes it.
    if (::fchmod(to.get(), info.st_mode & 0777) != 0)
        fail(path);
    const std::array<timespec, 2> times{info.st_atim, info.st_mtim};
    static_cast<void>(::futimens(to.get(), times.data()));
}

void copyLink(const Pair& folders, const char* name, const struct stat& info,
              const std::string& path)
{
    std::array<char, PATH_MAX> target{};
    const ssize_t size = ::readlinkat(folders.from, name, target.data(), target.size() - 1);
    if (size < 0 || ::symlinkat(target.data(), folders.to, name) != 0)
        fail(path);
    copyTimes(folders.to, name, info);
}

void copyFolder(const Pair& folders, int depth);

void copyEntry(const Pair& folders, const char* name, int depth)
{
    const std::string path = folders.path + "/" + name;
    struct stat info = {};
    if (::fstatat(folders.from, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
        fail(path);
    if (S_ISLNK(info.st_mode))
        copyLink(folders, name, info, path);
    if (S_ISREG(info.st_mode))
        copyFile(folders, name, path);
    if (!S_ISDIR(info.st_mode))
        return;
    constexpr int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    const FileDescriptor from(::openat(folders.from, name, flags));
    if (!from.valid() || ::mkdirat(folders.to, name, 0700) != 0)
        fail(path);
    const FileDescriptor to(::openat(folders.to, name, flags));
    if (!to.valid())
        fail(path);
    copyFolder({.from = from.get(), .to = to.get(), .path = path}, depth + 1);
    if (::fchmod(to.get(), info.st_mode & 0777) != 0)
        fail(path);
    copyTimes(folders.to, name, info);
}

void copyFolder(const Pair& folders, int depth)
{
    if (depth > deepest)
    {
        errno = ELOOP;
        fail(folders.path);
    }
    const int again = ::fcntl(folders.from, F_DUPFD_CLOEXEC, 0);
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(again < 0 ? nullptr : ::fdopendir(again),
                                                      ::closedir);
    if (!entries)
        fail(folders.path);
    while (const dirent* entry = ::readdir(entries.get()))
    {
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..")
            copyEntry(folders, entry->d_name, depth);
    }
}

} // namespace

void copyWorkspace(const std::filesystem::path& from, const std::filesystem::path& to)
{
    constexpr int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    const FileDescriptor source(::open(from.c_str(), flags | O_NOFOLLOW));
    const FileDescriptor target(::open(to.c_str(), flags));
    if (!source.valid())
        fail(from.string());
    if (!target.valid())
        fail(to.string());
    copyFolder({.from = source.get(), .to = target.get(), .path = from.string()}, 0);
}

} // namespace agent
