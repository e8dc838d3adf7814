#include "agent/cache/Beneath.h"

#include "agent/wire/CacheFiles.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace agent::cache
{

namespace
{

constexpr int asFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

struct CloseFolder
{
    void operator()(DIR* folder) const { ::closedir(folder); }
};

/// Opens the folder with its owner's rights on it given back.
FileDescriptor unlocked(int folder, const std::string& name)
{
    const FileDescriptor place(
        ::openat(folder, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!place.valid())
        return {};
    // fchmod refuses such a descriptor; its link in /proc leads to this folder and no other.
    const std::string link = "/proc/self/fd/" + std::to_string(place.get());
    (void)::chmod(link.c_str(), 0700);
    return FileDescriptor(::openat(place.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

bool emptyTree(int folder, std::size_t depth)
{
    if (depth > 4 * caches::depth)
        return false;
    const int copy = ::openat(folder, ".", asFolder);
    const std::unique_ptr<DIR, CloseFolder> entries(copy < 0 ? nullptr : ::fdopendir(copy));
    if (!entries)
        return false;
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(entries.get()))
        if (const std::string name = entry->d_name; name != "." && name != "..")
            names.push_back(name);
    bool all = true;
    for (const std::string& name : names)
    {
        if (::unlinkat(folder, name.c_str(), 0) == 0 || errno == ENOENT)
            continue;
        const FileDescriptor inner = unlocked(folder, name);
        all = inner.valid() && emptyTree(inner.get(), depth + 1) &&
              ::unlinkat(folder, name.c_str(), AT_REMOVEDIR) == 0 && all;
    }
    return all;
}

} // namespace

std::string systemError()
{
    return std::strerror(errno);
}

std::vector<std::string> partsOf(std::string_view path)
{
    if (path.empty() || path.size() > caches::nameBytes)
        throw std::runtime_error("a name is empty or too long");
    if (path.find('\0') != std::string_view::npos)
        throw std::runtime_error("a name has a NUL");
    std::vector<std::string> parts;
    for (std::size_t start = 0; start <= path.size();)
    {
        const std::size_t end = std::min(path.find('/', start), path.size());
        const std::string_view part = path.substr(start, end - start);
        if (part.empty() || part == "." || part == ".." || parts.size() == caches::depth)
            throw std::runtime_error("a name has an empty part, '.', '..' or too many parts");
        parts.emplace_back(part);
        start = end + 1;
    }
    return parts;
}

// One part after the other, each without following a symlink: no more than a system call for each, as the folder of the
// entry before is kept; and no kernel lacks it. What another process exchanges meanwhile is a folder that it may reach anyway,
// below the one that is held: `..` is never opened.
FileDescriptor folderBeneath(int root, const std::vector<std::string>& parts,
                             std::optional<mode_t> make)
{
    struct stat begin = {};
    FileDescriptor at(::openat(root, ".", asFolder));
    if (!at.valid() || ::fstat(at.get(), &begin) != 0)
        return {};
    for (const std::string& part : parts)
    {
        if (make && ::mkdirat(at.get(), part.c_str(), *make) != 0 && errno != EEXIST)
            return {};
        struct stat here = {};
        at = FileDescriptor(::openat(at.get(), part.c_str(), asFolder));
        if (!at.valid() || ::fstat(at.get(), &here) != 0)
            return {};
        if (here.st_dev != begin.st_dev)
        {
            errno = EXDEV;
            return {};
        }
    }
    return at;
}

FileDescriptor openFolder(const std::string& path)
{
    return FileDescriptor(::open(path.c_str(), asFolder));
}

bool removeTree(int folder, const std::string& name)
{
    if (::unlinkat(folder, name.c_str(), 0) == 0 || errno == ENOENT)
        return true;
    const FileDescriptor inner = unlocked(folder, name);
    if (!inner.valid())
        return false;
    return emptyTree(inner.get(), 0) && ::unlinkat(folder, name.c_str(), AT_REMOVEDIR) == 0;
}

} // namespace agent::cache
