#pragma once

#include "agent/model/Timestamp.h"
#include "agent/wire/CacheFiles.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace agent
{

/// An archive in the store.
struct StoredCache
{
    std::string id; ///< of its place
    CacheHeader header;
    TimeMs usedAt = 0;
    std::int64_t hits = 0;
    std::filesystem::path file;
};

/// The archives on disk: docs/caches.md, "On disk". The folder is the only truth: what an operator removes from it is gone.
/// Threads: any.
class CacheStore
{
public:
    /// Makes the folder, and removes what a daemon before left unfinished.
    explicit CacheStore(std::filesystem::path root);

    [[nodiscard]] std::filesystem::path folder(const std::string& service) const
    {
        return _root / service;
    }
    [[nodiscard]] std::filesystem::path
    archive(const std::string& service, const std::string& scope, const std::string& key) const
    {
        return _root / service / scope / (key + caches::suffix);
    }
    /// A file for an archive that is being written.
    [[nodiscard]] std::filesystem::path newArchive() const;
    /// The file that says what is to be saved of a run.
    [[nodiscard]] std::filesystem::path pending(const std::string& runId) const;
    [[nodiscard]] std::vector<std::filesystem::path> allPending() const;

    [[nodiscard]] bool has(const std::string& service, const std::string& scope,
                           const std::string& key) const;

    /// Returns what stands at a place; nothing where there is none, or it is no archive.
    [[nodiscard]] std::optional<StoredCache>
    find(const std::string& service, const std::string& scope, const std::string& key) const;

    /// Returns all, the one used last first.
    [[nodiscard]] std::vector<StoredCache> list() const;

    /// Returns how many bytes all have.
    [[nodiscard]] std::int64_t bytes() const;

    /// Takes note of a use.
    void used(const StoredCache& cache) const;

    /// Removes the archive with this id. Returns what it was; nothing: there is none.
    std::optional<StoredCache> remove(const std::string& id) const;

    /// Removes those not used for longest until at most `mostBytes` are left, and tells each with its size.
    void evict(std::int64_t mostBytes,
               const std::function<void(const std::string& what, std::int64_t bytes)>& tell) const;

    /// Removes the one not used for longest, and tells it. Returns false when there is none.
    bool removeOldest(
        const std::function<void(const std::string& what, std::int64_t bytes)>& tell) const;

private:
    struct File
    {
        std::filesystem::path path;
        std::int64_t bytes = 0;
        TimeMs usedAt = 0;
    };

    using Tell = std::function<void(const std::string& what, std::int64_t bytes)>;

    void makeFolders() const;
    bool drop(const File& file, const Tell& tell) const;
    [[nodiscard]] std::vector<File> files() const;
    [[nodiscard]] std::optional<StoredCache> read(const std::filesystem::path& file) const;

    std::filesystem::path _root;
};

} // namespace agent
