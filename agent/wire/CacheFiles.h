#pragma once

#include "agent/model/CacheSpec.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// What the daemon and stage-cache tell each other, and the beginning of an archive: docs/caches.md.
namespace agent
{

namespace caches
{
constexpr int version = 1;
constexpr std::size_t beginning = 8192; ///< bytes before the compressed tar archive
constexpr const char* suffix = ".cache";
constexpr const char* report = "caches.json"; ///< in the attempt's folder
constexpr std::size_t reportBytes = 65'536;
constexpr const char* staging =
    ".stage-agent-restore"; ///< in workspace and HOME, while it restores

constexpr std::int64_t contentBytes = std::int64_t{10} << 30;
constexpr std::int64_t entries = 1'000'000;
constexpr std::size_t nameBytes = 4096;
constexpr std::size_t depth = 128;

// Variables of a stage with caches, which its command does not see.
constexpr const char* planVariable = "STAGE_AGENT_CACHES";
constexpr const char* reportVariable = "STAGE_AGENT_CACHE_REPORT";
} // namespace caches

/// What stands at the beginning of an archive.
struct CacheHeader
{
    std::string service; ///< name of the folder
    std::string scope;   ///< name of the folder
    std::string serviceName;
    std::string scopeName; ///< `main`, `pull/7`
    std::string key;
    std::int64_t createdAt = 0;
    std::int64_t madeMs = 0;
    std::int64_t contentBytes = 0;
    std::int64_t files = 0;
    std::int64_t archiveBytes = 0;
    std::vector<std::string> paths;
};

/// Returns the first caches::beginning bytes of an archive. Errors: std::runtime_error when it does not fit.
std::string beginningOf(const CacheHeader& header);

/// Returns what the open archive says of itself; nothing when it is no whole archive.
std::optional<CacheHeader> cacheHeaderOf(int archive);

/// What a stage is to restore.
struct CachePlan
{
    std::string workspace;
    std::string home; ///< of the run
    std::string report;
    std::string folder; ///< of the service's caches
    std::string service;
    std::vector<std::string> scopes; ///< that may be read, in this order
    std::vector<CacheSpec> caches;
    std::int64_t tellMs = 5000; ///< how often a restore that lasts prints something
};

class ObjectReader;
class ObjectWriter;

/// The member `caches` of an object, as the daemon and stage-cache write and read it.
void putCaches(ObjectWriter& out, const std::vector<CacheSpec>& caches);
/// Errors: BadFile.
std::vector<CacheSpec> cachesIn(const ObjectReader& object);

std::string toJson(const CachePlan& plan);
std::optional<CachePlan> cachePlanFrom(const std::string& json);

/// What became of one cache of a stage.
struct CacheUse
{
    std::string key;   ///< empty: it has none, as a file is missing
    std::string found; ///< key of the archive that was restored; empty: none
    std::string scope; ///< of that
    std::int64_t bytes = 0;
    std::int64_t ms = 0;

    [[nodiscard]] bool exact() const { return !found.empty() && found == key; }
};

std::string toJson(const std::vector<CacheUse>& uses);
/// Errors: nothing when it is no report, or names what can't be a key or a scope.
std::optional<std::vector<CacheUse>> cacheUsesFrom(const std::string& json);

/// An archive that is to be made.
struct CacheSave
{
    std::string workspace;
    std::string home;
    std::string target;    ///< the archive's path
    std::string temporary; ///< its path while it is written
    CacheHeader header;    ///< all but the sizes
    std::int64_t mostBytes = caches::contentBytes;
    std::int64_t parent = 0; ///< the daemon's pid
};

std::string toJson(const CacheSave& save);
std::optional<CacheSave> cacheSaveFrom(const std::string& json);

} // namespace agent
