#include "agent/cache/Key.h"

#include "agent/cache/Beneath.h"
#include "agent/model/CacheSpec.h"
#include "agent/os/Sha256.h"

#include <cerrno>
#include <stdexcept>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace agent::cache
{

namespace
{

constexpr std::int64_t mostBytes = std::int64_t{64} << 20;

std::string digestOf(const std::string& path, int workspace)
{
    auto parts = partsOf(path);
    const std::string name = std::move(parts.back());
    parts.pop_back();
    const FileDescriptor folder = folderBeneath(workspace, parts);
    const FileDescriptor file(
        folder.valid()
            ? ::openat(folder.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
            : -1);
    struct stat info = {};
    if (!file.valid() || ::fstat(file.get(), &info) != 0)
        throw std::runtime_error(path + ": " + systemError());
    if (!S_ISREG(info.st_mode) || info.st_size > mostBytes)
        throw std::runtime_error(path + " is no regular file, or larger than 64 MiB");
    Sha256 digest;
    std::vector<char> buffer(std::size_t{64} << 10);
    for (std::int64_t all = 0; all <= mostBytes;)
    {
        const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            throw std::runtime_error(path + ": " + systemError());
        if (got == 0)
            return toHex(digest.digest());
        digest.update({buffer.data(), static_cast<std::size_t>(got)});
        all += got;
    }
    throw std::runtime_error(path + " grows while it is read");
}

std::string machine()
{
    utsname name = {};
    ::uname(&name);
    return name.machine;
}

} // namespace

std::string filledIn(const std::string& key, int workspace)
{
    std::string text;
    for (const CacheKeyPart& part : cacheKeyParts(key))
        text += part.kind == CacheKeyPart::Kind::Text      ? part.text
                : part.kind == CacheKeyPart::Kind::Machine ? machine()
                                                           : digestOf(part.text, workspace);
    if (!isCacheKey(text))
        throw std::runtime_error("the key is longer than " + std::to_string(cacheBounds::key) +
                                 " bytes");
    return text;
}

} // namespace agent::cache
