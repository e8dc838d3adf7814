#include "agent/run/ArtifactTrash.h"

#include "agent/model/Id.h"
#include "agent/wire/Failpoint.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <memory>
#include <thread>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace agent
{

namespace
{

constexpr const char* trash = "artifacts/trash";
constexpr std::size_t digits = 64;

/// Removed while the lock is held: a collector waits that long at most.
constexpr std::size_t linksAtOnce = 64;

struct CloseFolder
{
    void operator()(DIR* folder) const { ::closedir(folder); }
};

std::vector<std::string> namesIn(int folder)
{
    std::vector<std::string> names;
    const int copy = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const std::unique_ptr<DIR, CloseFolder> entries(copy < 0 ? nullptr : ::fdopendir(copy));
    while (const dirent* entry = entries ? ::readdir(entries.get()) : nullptr)
        if (const std::string name = entry->d_name; name != "." && name != "..")
            names.push_back(name);
    return names;
}

/// Takes the lock. Returns false when that can't be, or on `stop`: a stage without a sandbox, or a collector that the kernel
/// does not let go of, may have it for as long as it likes.
bool taken(int lock, const std::stop_token& stop)
{
    constexpr std::chrono::milliseconds pause{20};
    while (::flock(lock, LOCK_EX | LOCK_NB) != 0)
    {
        if (errno != EWOULDBLOCK || stop.stop_requested())
            return false;
        std::this_thread::sleep_for(pause);
    }
    return true;
}

/// Removes the link, and the content's name where that is all that is left of it.
void removeLink(int set, int objects, const std::string& name)
{
    struct stat link = {};
    struct stat content = {};
    const std::string object = name.substr(0, 2) + '/' + name;
    // In this order: a crash in between leaves the link, and with it the way to the content.
    if (name.size() == digits && ::fstatat(set, name.c_str(), &link, AT_SYMLINK_NOFOLLOW) == 0 &&
        ::fstatat(objects, object.c_str(), &content, AT_SYMLINK_NOFOLLOW) == 0 &&
        link.st_dev == content.st_dev && link.st_ino == content.st_ino && content.st_nlink <= 2)
        ::unlinkat(objects, object.c_str(), 0);
    FAILPOINT("artifacts.unnamed");
    ::unlinkat(set, name.c_str(), 0);
}

} // namespace

bool ArtifactTrash::take(const std::string& folder) const
{
    const std::filesystem::path path(folder);
    const FileDescriptor above = openBeneath(_state, path.parent_path());
    if (!above.valid())
        return false;
    if (::faccessat(above.get(), path.filename().c_str(), F_OK, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    const FileDescriptor store = openBeneath(_state, "artifacts");
    if (!store.valid() || (::mkdirat(store.get(), "trash", 0700) != 0 && errno != EEXIST))
        return false;
    const FileDescriptor bin = openBeneath(_state, trash);
    const bool taken = bin.valid() && ::renameat(above.get(), path.filename().c_str(), bin.get(),
                                                 newId().c_str()) == 0;
    FAILPOINT("artifacts.taken");
    return taken;
}

std::vector<Remains> ArtifactTrash::empty(const std::stop_token& stop) const
{
    std::vector<Remains> remains;
    const FileDescriptor bin = openBeneath(_state, trash);
    if (!bin.valid())
        return remains;
    for (const std::string& name : namesIn(bin.get()))
    {
        const FileDescriptor folder = openBeneath(bin.get(), name);
        if (!folder.valid()) // a stage without a sandbox may have put it there
            ::unlinkat(bin.get(), name.c_str(), 0);
        else if (!emptySet(folder.get(), stop) ||
                 ::unlinkat(bin.get(), name.c_str(), AT_REMOVEDIR) != 0)
            remains.push_back({.name = name, .why = std::strerror(errno)});
        if (stop.stop_requested())
            return {};
    }
    return remains;
}

/// A set, or a folder of sets.
bool ArtifactTrash::emptySet(int set, const std::stop_token& stop) const
{
    const FileDescriptor objects = openBeneath(_state, "artifacts/objects");
    std::vector<std::string> links;
    for (std::string& name : namesIn(set))
    {
        const FileDescriptor folder =
            name.size() == digits ? FileDescriptor() : openBeneath(set, name);
        if (!folder.valid())
        {
            links.push_back(std::move(name));
            continue;
        }
        removeLinks(folder.get(), objects.get(), namesIn(folder.get()), stop);
        if (::unlinkat(set, name.c_str(), AT_REMOVEDIR) != 0)
            return false;
    }
    removeLinks(set, objects.get(), links, stop);
    return true;
}

void ArtifactTrash::removeLinks(int set, int objects, const std::vector<std::string>& names,
                                const std::stop_token& stop) const
{
    const FileDescriptor store = openBeneath(_state, "artifacts");
    const FileDescriptor lock(
        ::openat(store.get(), "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    for (std::size_t i = 0; i < names.size() && !stop.stop_requested();)
    {
        // While a collector that has linked a content gives it its name: it would be removed after that.
        if (!lock.valid() || !taken(lock.get(), stop))
            return;
        for (const std::size_t end = std::min(names.size(), i + linksAtOnce); i < end; ++i)
            removeLink(set, objects, names[i]);
        ::flock(lock.get(), LOCK_UN);
    }
}

} // namespace agent
