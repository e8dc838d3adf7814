#include "agent/run/SafeRemove.h"

#include "agent/model/Id.h"
#include "agent/os/Beneath.h"

#include <cerrno>
#include <cstring>
#include <memory>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace agent
{

namespace
{

/// A folder that is filled as fast as it is emptied is given up after so many passes.
constexpr int passesAtMost = 100;

constexpr int asFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

bool unlock(const FileDescriptor& place)
{
    struct stat status = {};
    if (::fstat(place.get(), &status) != 0)
        return false;
    if ((status.st_mode & S_IRWXU) == S_IRWXU)
        return true;
    // fchmod refuses such a descriptor; its link in /proc leads to this folder and no other.
    const std::string link = "/proc/self/fd/" + std::to_string(place.get());
    return ::chmod(link.c_str(), (status.st_mode & 07777) | S_IRWXU) == 0;
}

struct CloseFolder
{
    void operator()(DIR* folder) const { ::closedir(folder); }
};

std::vector<std::string> namesIn(int folder)
{
    std::vector<std::string> names;
    const int copy = ::openat(folder, ".", asFolder);
    const std::unique_ptr<DIR, CloseFolder> entries(copy < 0 ? nullptr : ::fdopendir(copy));
    if (!entries)
        return names;
    while (const dirent* entry = ::readdir(entries.get()))
    {
        const std::string name = entry->d_name;
        if (name != "." && name != "..")
            names.push_back(name);
    }
    return names;
}

class Emptying
{
public:
    Emptying(int trash, const std::stop_token& stop) : _trash(trash), _stop(stop) {}

    std::vector<Remains> run()
    {
        _waiting = namesIn(_trash);
        while (!_waiting.empty() && !_stop.stop_requested())
        {
            const std::string name = std::move(_waiting.back());
            _waiting.pop_back();
            if (!remove(name) && !_stop.stop_requested())
                _remains.push_back({name, std::strerror(errno)});
        }
        return std::move(_remains);
    }

private:
    /// Returns whether `name` is gone from `folder`; errno is ENOTEMPTY for a folder with content.
    static bool removeEmpty(int folder, const std::string& name)
    {
        if (::unlinkat(folder, name.c_str(), 0) == 0 || errno == ENOENT)
            return true;
        if (errno != EISDIR && errno != EPERM)
            return false;
        const int why = errno;
        if (::unlinkat(folder, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT)
            return true;
        if (errno == ENOTDIR) // an immutable file, or one that was a folder a moment ago
            errno = why == EISDIR ? EAGAIN : why;
        return false;
    }

    bool remove(const std::string& name)
    {
        for (int pass = 0; pass < passesAtMost; ++pass)
        {
            if (removeEmpty(_trash, name))
                return true;
            if (errno == EAGAIN)
                continue;
            if (errno != ENOTEMPTY)
                return false;
            const FileDescriptor folder = openBeneath(_trash, name);
            if (!folder.valid() && (errno == ELOOP || errno == ENOTDIR))
                continue; // it was exchanged for something else
            if (!folder.valid() || !empty(folder.get()))
                return false;
        }
        errno = EBUSY;
        return false;
    }

    /// Returns false when another pass would do no more; errno says why.
    bool empty(int folder)
    {
        bool progress = false;
        int why = ENOTEMPTY;
        const auto names = namesIn(folder);
        for (const auto& name : names)
        {
            if (_stop.stop_requested())
                return false;
            if (removeEmpty(folder, name) || errno == EAGAIN ||
                (errno == ENOTEMPTY && moveUp(folder, name)))
                progress = true;
            else
                why = errno;
        }
        errno = why;
        return progress || names.empty();
    }

    bool moveUp(int folder, const std::string& name)
    {
        const std::string above = newId();
        int done = ::renameat(folder, name.c_str(), _trash, above.c_str());
        if (done != 0 && errno == EACCES)
        {
            // Another parent is a change of the folder itself, which it may forbid.
            const FileDescriptor place = placeBeneath(folder, name);
            if (!place.valid() || !unlock(place))
                return false;
            done = ::renameat(folder, name.c_str(), _trash, above.c_str());
        }
        if (done == 0)
            _waiting.push_back(above);
        return done == 0;
    }

    int _trash;
    const std::stop_token& _stop;
    std::vector<std::string> _waiting; ///< in the trash
    std::vector<Remains> _remains;
};

} // namespace

FileDescriptor openBeneath(int root, const std::filesystem::path& path)
{
    const FileDescriptor place = placeBeneath(root, path);
    if (!place.valid() || !unlock(place))
        return {};
    return FileDescriptor(::openat(place.get(), ".", asFolder));
}

namespace
{

std::int64_t bytesIn(int folder, const std::stop_token& stop, int depth)
{
    constexpr int deepest = 100;
    constexpr std::int64_t block = 512;
    std::int64_t sum = 0;
    for (const auto& name : namesIn(folder))
    {
        struct stat info = {};
        if (stop.stop_requested() ||
            ::fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        sum += info.st_blocks * block;
        if (!S_ISDIR(info.st_mode) || depth == deepest)
            continue;
        if (const FileDescriptor inner = openBeneath(folder, name); inner.valid())
            sum += bytesIn(inner.get(), stop, depth + 1);
    }
    return sum;
}

} // namespace

std::int64_t bytesIn(int folder, const std::stop_token& stop)
{
    return bytesIn(folder, stop, 0);
}

std::vector<Remains> emptyFolder(int trash, const std::stop_token& stop)
{
    return Emptying(trash, stop).run();
}

} // namespace agent
