#include "plugins/git/LeftFiles.h"

#include "plugins/git/Program.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <optional>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <vector>

namespace fs = std::filesystem;

namespace agent::git
{

namespace
{

constexpr const char* trash = ".stage-agent-removed";
constexpr mode_t symlinkMode = 0120000;
constexpr mode_t linkToCommit = 0160000;
constexpr mode_t executable = 0100755;
constexpr mode_t rights = 07777;

/// Removed wherever the commit has a folder: attributes are to come from the commit, rules of what is ignored too, and no
/// folder is a repository of its own. Where the commit has such a file, the checkout writes it.
bool steersGit(std::string_view name)
{
    return name == ".git" || name == ".gitattributes" || name == ".gitignore" ||
           name == ".gitmodules";
}

class Descriptor
{
public:
    explicit Descriptor(int number) : _number(number) {}
    ~Descriptor()
    {
        if (_number >= 0)
            close(_number);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    [[nodiscard]] int get() const { return _number; }

private:
    int _number;
};

int openFolder(int above, const char* name)
{
    return openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

[[noreturn]] void fail(const std::string& what, const std::string& name)
{
    const std::string why = std::strerror(errno);
    throw Failure("can't " + what + " " + name + ": " + why);
}

/// Read before anything is removed.
std::vector<std::string> namesIn(int folder)
{
    const int again = openFolder(folder, ".");
    DIR* const stream = again < 0 ? nullptr : fdopendir(again);
    if (stream == nullptr)
        fail("read", "a folder");
    std::vector<std::string> names;
    while (const dirent* entry = readdir(stream)) // NOLINT: one thread
        if (const std::string_view name = entry->d_name; name != "." && name != "..")
            names.emplace_back(name);
    closedir(stream);
    return names;
}

struct stat statOf(int folder, const std::string& name)
{
    struct stat info = {};
    if (fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
        fail("look at", name);
    return info;
}

/// Access control lists of a folder decide the rights of what is made in it.
void withoutLists(int folder)
{
    for (const char* list : {"system.posix_acl_default", "system.posix_acl_access"})
        (void)fremovexattr(folder, list); // most have none
}

mode_t umaskOfProcess()
{
    const mode_t now = umask(0);
    umask(now);
    return now;
}

} // namespace

TrackedFolder TrackedFolder::from(std::string_view printed, bool converted)
{
    TrackedFolder top;
    for (std::size_t end = 0; (end = printed.find('\0')) != printed.npos;
         printed.remove_prefix(end + 1))
    {
        // `100644 blob ID    4711`, tab, path; a submodule has `-` for a size.
        const std::string_view entry = printed.substr(0, end);
        const auto tab = entry.find('\t');
        const auto blank = entry.substr(0, tab).rfind(' ');
        TrackedFile file;
        const auto mode = std::from_chars(entry.data(), entry.data() + entry.size(), file.mode, 8);
        if (tab == entry.npos || blank == entry.npos || mode.ec != std::errc{})
            throw Failure("can't read the list of the commit's files");
        std::from_chars(entry.data() + blank + 1, entry.data() + tab, file.size);
        if (converted)
            file.size = -1;
        TrackedFolder* folder = &top;
        std::string_view path = entry.substr(tab + 1);
        for (std::size_t slash = 0; (slash = path.find('/')) != path.npos;
             path.remove_prefix(slash + 1))
            folder = &folder->folders[std::string(path.substr(0, slash))];
        folder->files[std::string(path)] = file;
    }
    return top;
}

LeftFiles::LeftFiles(const fs::path& workspace)
    : _top(::open(workspace.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)),
      _umask(umaskOfProcess())
{
    struct stat info = {};
    if (_top < 0 || fstat(_top, &info) != 0)
        fail("open", workspace.string());
    _device = info.st_dev;
    fchmod(_top, S_IRWXU); // as the agent makes it
    withoutLists(_top);
    if (fstatat(_top, trash, &info, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(info.st_mode))
        unlinkat(_top, trash, 0);
    if (mkdirat(_top, trash, 0700) != 0 && errno != EEXIST)
        fail("make", trash);
    fchmodat(_top, trash, 0700, 0);
    _trash = openFolder(_top, trash);
    if (_trash < 0)
        fail("open", trash);
    emptyTrash(); // of one that was killed
}

LeftFiles::~LeftFiles()
{
    close(_trash);
    unlinkat(_top, trash, AT_REMOVEDIR);
    close(_top);
}

void LeftFiles::remove(std::string_view path)
{
    while (path.ends_with('/'))
        path.remove_suffix(1);
    std::optional<Descriptor> folder;
    int above = _top;
    for (std::size_t slash = 0; (slash = path.find('/')) != path.npos;
         path.remove_prefix(slash + 1))
    {
        const int next = openFolder(above, std::string(path.substr(0, slash)).c_str());
        folder.emplace(next);
        if (next < 0)
            return;
        above = next;
    }
    struct stat info = {};
    const std::string name(path);
    if (fstatat(above, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0)
        removeAt(above, name);
    emptyTrash();
}

/// A folder is moved away first, so that those in it, however deep, need no path and no descriptor each.
void LeftFiles::removeAt(int folder, const std::string& name)
{
    const struct stat info = statOf(folder, name);
    if (!S_ISDIR(info.st_mode))
    {
        if (unlinkat(folder, name.c_str(), 0) != 0)
            fail("remove", name);
        return;
    }
    if (info.st_dev != _device)
        throw Failure("can't remove " + name + ": something is mounted there");
    if ((info.st_mode & S_IRWXU) != S_IRWXU)
        fchmodat(folder, name.c_str(), 0700,
                 0); // it is no symlink, and no process of a stage is left
    while (renameat(folder, name.c_str(), _trash, std::to_string(++_removed).c_str()) != 0)
        if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR) // a name that is taken
            fail("remove", name);
}

void LeftFiles::emptyTrash()
{
    for (bool more = true; more;)
    {
        more = false;
        for (const std::string& name : namesIn(_trash))
        {
            more = true;
            if (!S_ISDIR(statOf(_trash, name).st_mode))
            {
                removeAt(_trash, name);
                continue;
            }
            fchmodat(_trash, name.c_str(), 0700, 0);
            {
                const Descriptor folder(openFolder(_trash, name.c_str()));
                if (folder.get() < 0)
                    fail("open", name);
                for (const std::string& below : namesIn(folder.get()))
                    removeAt(folder.get(), below);
            }
            if (unlinkat(_trash, name.c_str(), AT_REMOVEDIR) != 0)
                fail("remove", name);
        }
    }
}

void LeftFiles::keepOnly(const TrackedFolder& commit, bool untracked)
{
    keepOnly(_top, commit, untracked, true);
    emptyTrash();
}

void LeftFiles::keepOnly(int folder, const TrackedFolder& commit, bool untracked, bool top)
{
    for (const std::string& name : namesIn(folder))
    {
        if (top && (name == trash || name == ".git"))
            continue;
        const struct stat info = statOf(folder, name);
        const auto below = commit.folders.find(name);
        if (below != commit.folders.end() && S_ISDIR(info.st_mode) && info.st_dev == _device &&
            info.st_uid == geteuid())
        {
            if ((info.st_mode & rights) != (0777 & ~_umask))
                fchmodat(folder, name.c_str(), 0777 & ~_umask, 0);
            const Descriptor opened(openFolder(folder, name.c_str()));
            if (opened.get() < 0)
                fail("open", name);
            withoutLists(opened.get());
            keepOnly(opened.get(), below->second, untracked, false);
            continue;
        }
        const auto file = commit.files.find(name);
        if (below == commit.folders.end() && file == commit.files.end())
        {
            if (untracked || steersGit(name))
                removeAt(folder, name);
            continue;
        }
        const mode_t mode =
            file == commit.files.end() ? linkToCommit : static_cast<mode_t>(file->second.mode);
        const mode_t type = mode == symlinkMode ? S_IFLNK : S_IFREG;
        const mode_t made = type == S_IFLNK      ? info.st_mode & rights
                            : mode == executable ? 0777 & ~_umask
                                                 : 0666 & ~_umask;
        const bool right = mode != linkToCommit && (info.st_mode & S_IFMT) == type &&
                           info.st_size == file->second.size && (info.st_mode & rights) == made &&
                           info.st_nlink == 1 && info.st_uid == geteuid() && !steersGit(name);
        if (!right)
            removeAt(folder, name);
    }
}

void LeftFiles::open()
{
    openBelow(_top);
}

void LeftFiles::openBelow(int folder)
{
    for (const std::string& name : namesIn(folder))
    {
        const struct stat info = statOf(folder, name);
        if (!S_ISDIR(info.st_mode) || info.st_dev != _device)
            continue;
        if ((info.st_mode & S_IRWXU) != S_IRWXU)
            fchmodat(folder, name.c_str(), (info.st_mode & rights) | S_IRWXU, 0);
        if (const Descriptor opened(openFolder(folder, name.c_str())); opened.get() >= 0)
            openBelow(opened.get());
    }
}

} // namespace agent::git
