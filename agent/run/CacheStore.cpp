#include "agent/run/CacheStore.h"

#include "agent/model/Id.h"
#include "agent/os/FileDescriptor.h"
#include "agent/os/Sha256.h"
#include "agent/wire/Failpoint.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace agent
{

namespace
{

namespace fs = std::filesystem;

constexpr const char* unfinished = "new";
constexpr const char* pendingSaves = "pending";
constexpr const char* hitsAttribute = "user.stage-agent.hits";
constexpr std::size_t archivesMost = 10'000;
constexpr std::size_t idDigits = 16;

FileDescriptor opened(const fs::path& file)
{
    return FileDescriptor(::open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
}

std::int64_t hitsOf(int file)
{
    char text[24];
    std::int64_t hits = 0;
    const ssize_t size = ::fgetxattr(file, hitsAttribute, text, sizeof text);
    if (size > 0)
        std::from_chars(text, text + size, hits);
    return hits;
}

TimeMs millisecondsOf(const timespec& time)
{
    return static_cast<TimeMs>(time.tv_sec) * 1000 + time.tv_nsec / 1'000'000;
}

std::string idOf(const fs::path& file)
{
    Sha256 digest;
    digest.update(file.parent_path().parent_path().filename().string());
    digest.update("/" + file.parent_path().filename().string());
    digest.update("/" + file.filename().string());
    return toHex(digest.digest()).substr(0, idDigits);
}

} // namespace

CacheStore::CacheStore(fs::path root) : _root(std::move(root))
{
    makeFolders();
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(_root / unfinished, error))
        fs::remove_all(entry.path(), error);
}

/// On a full disk there are none yet: the agent starts all the same.
void CacheStore::makeFolders() const
{
    std::error_code error;
    for (const fs::path& folder : {_root, _root / unfinished, _root / pendingSaves})
        fs::create_directories(folder, error);
}

fs::path CacheStore::newArchive() const
{
    makeFolders();
    return _root / unfinished / newId();
}

fs::path CacheStore::pending(const std::string& runId) const
{
    return _root / pendingSaves / (runId + ".json");
}

std::vector<fs::path> CacheStore::allPending() const
{
    std::vector<fs::path> all;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(_root / pendingSaves, error))
        all.push_back(entry.path());
    return all;
}

bool CacheStore::has(const std::string& service, const std::string& scope,
                     const std::string& key) const
{
    return find(service, scope, key).has_value();
}

std::optional<StoredCache> CacheStore::find(const std::string& service, const std::string& scope,
                                            const std::string& key) const
{
    return read(archive(service, scope, key));
}

std::optional<StoredCache> CacheStore::read(const fs::path& file) const
{
    const FileDescriptor archive = opened(file);
    struct stat info = {};
    if (!archive.valid() || ::fstat(archive.get(), &info) != 0)
        return std::nullopt;
    auto header = cacheHeaderOf(archive.get());
    const fs::path scope = file.parent_path();
    if (!header || header->key + caches::suffix != file.filename() ||
        header->scope != scope.filename() || header->service != scope.parent_path().filename())
        return std::nullopt;
    return StoredCache{.id = idOf(file),
                       .header = std::move(*header),
                       .usedAt = millisecondsOf(info.st_mtim),
                       .hits = hitsOf(archive.get()),
                       .file = file};
}

std::vector<CacheStore::File> CacheStore::files() const
{
    std::vector<File> all;
    std::error_code error; // of what is removed meanwhile
    for (const auto& service : fs::directory_iterator(_root, error))
    {
        if (service.path().filename() == unfinished || service.path().filename() == pendingSaves)
            continue;
        for (const auto& scope : fs::directory_iterator(service.path(), error))
            for (const auto& entry : fs::directory_iterator(scope.path(), error))
            {
                struct stat info = {};
                if (::lstat(entry.path().c_str(), &info) == 0)
                    all.push_back({entry.path(), info.st_size, millisecondsOf(info.st_mtim)});
            }
    }
    std::sort(all.begin(), all.end(),
              [](const File& a, const File& b) { return a.usedAt > b.usedAt; });
    return all;
}

std::vector<StoredCache> CacheStore::list() const
{
    std::vector<StoredCache> all;
    for (const File& file : files())
        if (auto cache = read(file.path); cache && all.size() < archivesMost)
            all.push_back(std::move(*cache));
    return all;
}

std::int64_t CacheStore::bytes() const
{
    std::int64_t sum = 0;
    for (const File& file : files())
        sum += file.bytes;
    return sum;
}

void CacheStore::used(const StoredCache& cache) const
{
    const FileDescriptor file = opened(cache.file);
    if (!file.valid())
        return;
    const std::string hits = std::to_string(hitsOf(file.get()) + 1);
    // Where the file system has no such attributes, hits are not counted.
    (void)::fsetxattr(file.get(), hitsAttribute, hits.data(), hits.size(), 0);
    const timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
                               {.tv_sec = 0, .tv_nsec = UTIME_NOW}};
    (void)::futimens(file.get(), times);
}

std::optional<StoredCache> CacheStore::remove(const std::string& id) const
{
    for (const File& file : files())
        if (idOf(file.path) == id)
        {
            auto cache = read(file.path);
            if (::unlink(file.path.c_str()) != 0)
                return std::nullopt;
            return cache ? cache : StoredCache{.id = id, .file = file.path};
        }
    return std::nullopt;
}

bool CacheStore::drop(const File& file, const Tell& tell) const
{
    const auto cache = read(file.path);
    FAILPOINT("cache.drop");
    if (::unlink(file.path.c_str()) != 0)
        return false;
    FAILPOINT("cache.dropped");
    tell(cache ? cache->header.key + " of " + cache->header.serviceName + ", " +
                     cache->header.scopeName
               : file.path.filename().string(),
         file.bytes);
    return true;
}

void CacheStore::evict(
    std::int64_t mostBytes,
    const std::function<void(const std::string& what, std::int64_t bytes)>& tell) const
{
    auto all = files();
    std::int64_t sum = 0;
    for (const File& file : all)
        sum += file.bytes;
    for (; !all.empty() && (sum > mostBytes || all.size() > archivesMost); all.pop_back())
        if (drop(all.back(), tell))
            sum -= all.back().bytes;
}

bool CacheStore::removeOldest(
    const std::function<void(const std::string& what, std::int64_t bytes)>& tell) const
{
    auto all = files();
    while (!all.empty())
    {
        if (drop(all.back(), tell))
            return true;
        all.pop_back();
    }
    return false;
}

} // namespace agent
