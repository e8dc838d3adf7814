#include "agent/cache/Place.h"

#include "agent/cache/Beneath.h"
#include "agent/wire/CacheFiles.h"

#include <cerrno>
#include <cstdio>
#include <stdexcept>
#include <vector>

#include <fcntl.h>
#include <linux/fs.h>
#include <unistd.h>

namespace agent::cache
{

namespace
{

/// Returns the last part, and leaves those above it.
std::string takeLast(std::vector<std::string>& parts)
{
    std::string last = std::move(parts.back());
    parts.pop_back();
    return last;
}

[[noreturn]] void failAt(const std::string& path)
{
    throw std::runtime_error("can't be put to " + path + ": " + systemError());
}

} // namespace

Place::Place(const std::string& path) : _root(openFolder(path)) {}

void Place::clear()
{
    _staging.reset();
    if (_root.valid())
        removeTree(_root.get(), caches::staging);
}

int Place::staging()
{
    if (!_staging.valid())
        _staging = folderBeneath(_root.get(), {caches::staging}, privateFolder);
    if (!_staging.valid())
        throw std::runtime_error("no folder to unpack in: " + systemError());
    return _staging.get();
}

bool Place::isFree(const std::string& path) const
{
    auto parts = partsOf(path);
    const std::string last = takeLast(parts);
    const FileDescriptor folder = folderBeneath(_root.get(), parts);
    if (!folder.valid())
        return errno == ENOENT;
    return (::unlinkat(folder.get(), last.c_str(), AT_REMOVEDIR) == 0) || errno == ENOENT;
}

void Place::settle(const std::string& name, const std::string& path)
{
    auto parts = partsOf(path);
    const std::string last = takeLast(parts);
    const FileDescriptor folder = folderBeneath(_root.get(), parts, privateFolder);
    if (!folder.valid() ||
        ::renameat2(staging(), name.c_str(), folder.get(), last.c_str(), RENAME_NOREPLACE) != 0)
        failAt(path);
}

void Place::takeBack(const std::string& name, const std::string& path)
{
    auto parts = partsOf(path);
    const std::string last = takeLast(parts);
    const FileDescriptor folder = folderBeneath(_root.get(), parts);
    if (folder.valid())
        (void)::renameat2(folder.get(), last.c_str(), staging(), name.c_str(), RENAME_NOREPLACE);
}

void Place::replace(const std::string& name, const std::string& path)
{
    auto parts = partsOf(path);
    const std::string last = takeLast(parts);
    const FileDescriptor folder = folderBeneath(_root.get(), parts, sharedFolder);
    if (!folder.valid() && (errno == ELOOP || errno == ENOTDIR))
        throw std::runtime_error("can't be put to " + path +
                                 ": what stands above it is a symlink, or no folder");
    if (!folder.valid())
        failAt(path);
    for (const unsigned how : {RENAME_NOREPLACE, RENAME_EXCHANGE})
        if (::renameat2(staging(), name.c_str(), folder.get(), last.c_str(), how) == 0)
            return;
        else if (errno != EEXIST)
            break;
    failAt(path);
}

} // namespace agent::cache
