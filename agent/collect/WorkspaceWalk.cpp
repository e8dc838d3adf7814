#include "agent/collect/WorkspaceWalk.h"

#include "agent/collect/NotKept.h"
#include "agent/model/Utf8.h"
#include "agent/os/Beneath.h"

#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

namespace agent
{

namespace
{

constexpr std::size_t longestPath = 4096;

/// What the folders that wait to be looked into may take of memory, each with its path: a stage can make a million of them
/// with long ones.
constexpr std::size_t mostWaiting = 256UL << 20;

struct CloseFolder
{
    void operator()(DIR* folder) const { ::closedir(folder); }
};

/// Which mount an open file is of, as one of the same file system may be mounted over another; 0: the kernel does not say.
std::uint64_t mountOf(int file)
{
    struct statx status = {};
    const bool said = ::statx(file, "", AT_EMPTY_PATH, STATX_MNT_ID, &status) == 0 &&
                      (status.stx_mask & STATX_MNT_ID) != 0;
    return said ? status.stx_mnt_id : 0;
}

const char* kindOf(mode_t mode)
{
    if (S_ISLNK(mode))
        return "a symlink";
    if (S_ISFIFO(mode))
        return "a FIFO";
    if (S_ISSOCK(mode))
        return "a socket";
    return "no regular file";
}

} // namespace

WorkspaceWalk::WorkspaceWalk(const std::string& workspace, const std::vector<std::string>& patterns)
    : _texts(patterns),
      _patterns(patterns),
      _root(::open(workspace.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)),
      _matched(patterns.size())
{
    struct stat status = {};
    if (!_root.valid() || ::fstat(_root.get(), &status) != 0)
        throw std::system_error(errno, std::generic_category(), "the workspace");
    _device = status.st_dev;
    _mount = mountOf(_root.get());
}

void WorkspaceWalk::run(const Visitor& visitor)
{
    Folder root{.path = "", .way = _patterns.begin()};
    _waitingBytes = sizeOf(root);
    _waiting.push_back(std::move(root));
    while (!_waiting.empty())
    {
        const Folder folder = std::move(_waiting.back());
        _waiting.pop_back();
        _waitingBytes -= sizeOf(folder);
        visitFolder(folder, visitor);
    }
}

/// Nearly; the same whenever it is asked.
std::size_t WorkspaceWalk::sizeOf(const Folder& folder) const
{
    constexpr std::size_t ofPattern = 64;
    return sizeof(Folder) + folder.path.size() + ofPattern * _texts.size();
}

std::vector<std::string> WorkspaceWalk::unmatched() const
{
    std::vector<std::string> patterns;
    for (std::size_t i = 0; i < _texts.size(); ++i)
        if (!_matched[i])
            patterns.push_back(_texts[i]);
    return patterns;
}

void WorkspaceWalk::visitFolder(const Folder& folder, const Visitor& visitor)
{
    const FileDescriptor place = placeBeneath(_root.get(), folder.path.empty() ? "." : folder.path);
    const int opened =
        place.valid() ? ::openat(place.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    const std::unique_ptr<DIR, CloseFolder> entries(opened < 0 ? nullptr : ::fdopendir(opened));
    if (!entries)
    {
        // What is mounted there is not the workspace's.
        if (!folder.way.matched().empty())
            visitor.omitted(folder.path,
                            errno == EXDEV ? "another file system"
                                           : "can't be read: " + std::string(std::strerror(errno)));
        return;
    }
    while (const dirent* entry = ::readdir(entries.get()))
    {
        const std::string name = entry->d_name;
        if (name != "." && name != "..")
            visitEntry(opened, folder, name, entry->d_type, visitor);
    }
}

void WorkspaceWalk::visitEntry(int folder, const Folder& above, const std::string& name,
                               unsigned char kind, const Visitor& visitor)
{
    FilePatterns::Way way = _patterns.next(above.way, name);
    if (way.leadsNowhere())
        return;
    const std::string path = above.path.empty() ? name : above.path + '/' + name;
    const bool matches = !way.matched().empty();
    if (path.size() > longestPath || !isUtf8(name))
    {
        if (matches)
            visitor.omitted(path, path.size() > longestPath ? "its path is too long"
                                                            : "its name is no UTF-8");
        return;
    }
    struct stat status = {};
    if (kind == DT_UNKNOWN || (kind != DT_DIR && kind != DT_REG))
    {
        if (::fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
            return; // gone
        kind = S_ISDIR(status.st_mode) ? DT_DIR : S_ISREG(status.st_mode) ? DT_REG : DT_UNKNOWN;
    }
    if (kind == DT_DIR)
    {
        Folder found{.path = path, .way = std::move(way)};
        if ((_waitingBytes += sizeOf(found)) > mostWaiting)
            throw NotKept("the workspace has too many folders");
        _waiting.push_back(std::move(found));
    }
    else if (matches && kind == DT_REG)
        visitFile(folder, name, path, way, visitor);
    else if (matches)
        visitor.omitted(path, kindOf(status.st_mode));
}

void WorkspaceWalk::visitFile(int folder, const std::string& name, const std::string& path,
                              const FilePatterns::Way& way, const Visitor& visitor)
{
    std::optional<RegularFile> file;
    try
    {
        file = RegularFile::openAt(folder, name);
    }
    catch (const DamagedFile&)
    {
        return visitor.omitted(path, "no regular file any more");
    }
    catch (const std::system_error& error)
    {
        return visitor.omitted(path, "can't be read: " + error.code().message());
    }
    struct stat status = {};
    if (!file || ::fstat(file->descriptor(), &status) != 0)
        return;
    if (status.st_dev != _device || mountOf(file->descriptor()) != _mount)
        return visitor.omitted(path, "another file system");
    for (const std::size_t pattern : way.matched())
        _matched[pattern] = true;
    visitor.file({.path = path,
                  .file = std::move(*file),
                  .mode = status.st_mode & 0777U,
                  .size = status.st_size});
}

} // namespace agent
