#include "agent/cache/Restorer.h"

#include "agent/cache/Beneath.h"
#include "agent/cache/Key.h"
#include "agent/cache/Place.h"
#include "agent/cache/Unpacker.h"
#include "agent/wire/Failpoint.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
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

/// So many archives of one cache are tried, where one after the other can't be used.
constexpr std::size_t triesMost = 3;

struct Archive
{
    FileDescriptor file;
    CacheHeader header;
};

using Say = std::function<void(const std::string& line)>;

std::string sizeText(std::int64_t bytes)
{
    char text[32];
    constexpr double mega = 1e6;
    std::snprintf(text, sizeof text, "%.1f MB", static_cast<double>(bytes) / mega);
    return text;
}

/// The archives that a stage may read.
class Shelves
{
public:
    Shelves(const CachePlan& plan, const Say& say) : _plan(plan), _say(say)
    {
        for (const std::string& scope : plan.scopes)
            _folders.push_back(openFolder(plan.folder + "/" + scope));
    }

    /// Returns those to try, the best one first.
    [[nodiscard]] std::vector<Archive> find(const std::string& key,
                                            std::vector<std::string> beginnings) const
    {
        std::vector<Archive> found;
        for (std::size_t i = 0; i < _folders.size(); ++i)
            take(i, key, found);
        std::stable_sort(beginnings.begin(), beginnings.end(),
                         [](const auto& a, const auto& b) { return a.size() > b.size(); });
        for (const std::string& beginning : beginnings)
            for (std::size_t i = 0; i < _folders.size(); ++i)
                if (found.size() < triesMost)
                    takeNewest(i, beginning, found);
        return found;
    }

private:
    void take(std::size_t scope, const std::string& key, std::vector<Archive>& found) const
    {
        const int folder = _folders[scope].get();
        if (folder < 0)
            return;
        Archive archive;
        const std::string name = key + caches::suffix;
        archive.file = FileDescriptor(
            ::openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
        if (!archive.file.valid())
            return;
        auto header = cacheHeaderOf(archive.file.get());
        if (!header || header->service != _plan.service || header->scope != _plan.scopes[scope] ||
            header->key != key)
            return _say(key + " is left alone: its file is torn or of another place");
        archive.header = std::move(*header);
        found.push_back(std::move(archive));
    }

    void takeNewest(std::size_t scope, const std::string& beginning,
                    std::vector<Archive>& found) const
    {
        const int folder = _folders[scope].get();
        const int copy =
            folder < 0 ? -1 : ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const std::unique_ptr<DIR, int (*)(DIR*)> entries(copy < 0 ? nullptr : ::fdopendir(copy),
                                                          ::closedir);
        if (!entries)
            return;
        std::vector<Archive> all;
        while (const dirent* entry = ::readdir(entries.get()))
        {
            const std::string_view name = entry->d_name;
            if (name.ends_with(caches::suffix) && name.starts_with(beginning))
                take(scope, std::string(name.substr(0, name.size() - std::strlen(caches::suffix))),
                     all);
            // The newest ones are enough: each has a descriptor.
            std::sort(all.begin(), all.end(),
                      [](const Archive& a, const Archive& b)
                      { return a.header.createdAt > b.header.createdAt; });
            if (all.size() > triesMost)
                all.pop_back();
        }
        for (Archive& archive : all)
            found.push_back(std::move(archive));
    }

    const CachePlan& _plan;
    const Say& _say;
    std::vector<FileDescriptor> _folders;
};

/// Restores one cache after the other.
class Restoring
{
public:
    Restoring(const CachePlan& plan, const Say& say)
        : _say(say),
          _tellMs(plan.tellMs),
          _shelves(plan, say),
          _workspace(plan.workspace),
          _home(plan.home)
    {
        _workspace.clear();
        _home.clear();
    }

    CacheUse restore(const CacheSpec& cache)
    {
        CacheUse use;
        try
        {
            use.key = filledIn(cache.key, _workspace.root());
        }
        catch (const std::exception& error)
        {
            _say(cache.key + " is left out: " + error.what());
            return use;
        }
        std::vector<std::string> beginnings;
        for (const std::string& beginning : cache.restore)
            try
            {
                beginnings.push_back(filledIn(beginning, _workspace.root()));
            }
            catch (const std::exception&)
            {
                continue; // nothing has that beginning
            }
        const auto began = std::chrono::steady_clock::now();
        for (const Archive& archive : _shelves.find(use.key, std::move(beginnings)))
            if (tried(archive, cache))
            {
                use.found = archive.header.key;
                use.scope = archive.header.scope;
                use.bytes = archive.header.contentBytes;
                use.ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                             std::chrono::steady_clock::now() - began)
                             .count();
                _say(use.found + " of " + archive.header.scopeName +
                     " restored: " + sizeText(use.bytes) + ", " +
                     std::to_string(archive.header.files) + " files in " + std::to_string(use.ms) +
                     " ms" + (use.exact() ? "" : "; wanted: " + use.key));
                return use;
            }
        _say("there is none for " + use.key);
        return use;
    }

private:
    Place& placeOf(const std::string& path) { return path.starts_with("~/") ? _home : _workspace; }

    static std::string below(const std::string& path)
    {
        return path.starts_with("~/") ? path.substr(2) : path;
    }

    bool tried(const Archive& archive, const CacheSpec& cache)
    {
        bool done = false;
        try
        {
            unpackAll(archive, cache);
            done = true;
        }
        catch (const std::exception& error)
        {
            _say(archive.header.key + " is not restored: it " + error.what());
        }
        _workspace.clear();
        _home.clear();
        return done;
    }

    void unpackAll(const Archive& archive, const CacheSpec& cache)
    {
        const auto& paths = archive.header.paths;
        std::vector<bool> wanted(paths.size());
        for (std::size_t i = 0; i < paths.size(); ++i)
        {
            const bool named =
                std::find(cache.paths.begin(), cache.paths.end(), paths[i]) != cache.paths.end();
            wanted[i] =
                named && placeOf(paths[i]).root() >= 0 && placeOf(paths[i]).isFree(below(paths[i]));
            if (named && !wanted[i])
                _say(paths[i] + " is there already, and stays");
        }
        FAILPOINT("cache.restore");
        leaveInner(paths, wanted);
        std::vector<bool> seen(paths.size());
        auto told = std::chrono::steady_clock::now();
        unpack(
            archive.file.get(),
            [&](std::size_t number) -> std::optional<int>
            {
                if (number >= paths.size())
                    throw std::runtime_error("has a name that is none of ours");
                if (!wanted[number])
                    return std::nullopt;
                seen[number] = true;
                return placeOf(paths[number]).staging();
            },
            [&](std::int64_t bytes)
            {
                // A stage may have a limit for how long it prints nothing.
                const auto now = std::chrono::steady_clock::now();
                if (now - told < std::chrono::milliseconds(_tellMs))
                    return;
                told = now;
                _say(archive.header.key + " is being restored: " + sizeText(bytes) + " so far");
            });
        FAILPOINT("cache.unpacked");
        settleAll(paths, seen);
        FAILPOINT("cache.settled");
    }

    /// What stands below another path of the cache is restored with that.
    static void leaveInner(const std::vector<std::string>& paths, std::vector<bool>& wanted)
    {
        for (std::size_t i = 0; i < paths.size(); ++i)
            for (std::size_t outer = 0; outer < paths.size(); ++outer)
                if (wanted[outer] && paths[i].starts_with(paths[outer] + "/"))
                    wanted[i] = false;
    }

    /// All of them or, where one can't be, none.
    void settleAll(const std::vector<std::string>& paths, const std::vector<bool>& seen)
    {
        std::size_t at = 0;
        try
        {
            for (; at < paths.size(); ++at)
                if (seen[at])
                    placeOf(paths[at]).settle(std::to_string(at), below(paths[at]));
        }
        catch (const std::exception&)
        {
            while (at-- > 0)
                if (seen[at])
                    placeOf(paths[at]).takeBack(std::to_string(at), below(paths[at]));
            throw;
        }
    }

    const Say& _say;
    const std::int64_t _tellMs;
    Shelves _shelves;
    Place _workspace;
    Place _home;
};

} // namespace

std::vector<CacheUse> restoreCaches(const CachePlan& plan, const Say& say)
{
    // In a sandbox it is there; without one nobody else makes it.
    if (!plan.home.empty())
        (void)::mkdir(plan.home.c_str(), 0700);
    Restoring restoring(plan, say);
    std::vector<CacheUse> uses;
    for (const CacheSpec& cache : plan.caches)
        uses.push_back(restoring.restore(cache));
    return uses;
}

} // namespace agent::cache
