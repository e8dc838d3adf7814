#include "agent/wire/CacheFiles.h"

#include "agent/wire/JsonObject.h"

#include <array>
#include <stdexcept>

#include <sys/stat.h>
#include <unistd.h>

namespace agent
{

namespace
{

constexpr std::array<unsigned char, 4> skippedFrame{0x50, 0x2a, 0x4d, 0x18};
constexpr std::size_t before = 8; ///< magic and length
constexpr std::size_t room = caches::beginning - before;

template <typename Value> using Parsed = std::optional<Value>;

/// Calls `read` with the object; nothing where that is none, or is not as it should be.
template <typename Value, typename Read> Parsed<Value> parsed(const std::string& json, Read read)
try
{
    rapidjson::Document document;
    constexpr auto flags = rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag;
    if (document.Parse<flags>(json.data(), json.size()).HasParseError())
        return std::nullopt;
    const ObjectReader object(document);
    if (object.number("version") != caches::version)
        return std::nullopt;
    return read(object);
}
catch (const BadFile&)
{
    return std::nullopt;
}

void put(ObjectWriter& out, const CacheHeader& header)
{
    out.number("version", caches::version);
    out.text("service", header.service);
    out.text("scope", header.scope);
    out.text("service_name", header.serviceName);
    out.text("scope_name", header.scopeName);
    out.text("key", header.key);
    out.number("created_at", header.createdAt);
    out.number("made_ms", header.madeMs);
    out.number("content_bytes", header.contentBytes);
    out.number("files", header.files);
    out.number("archive_bytes", header.archiveBytes);
    out.texts("paths", header.paths);
}

CacheHeader headerFrom(const ObjectReader& object)
{
    return {.service = object.text("service"),
            .scope = object.text("scope"),
            .serviceName = object.text("service_name"),
            .scopeName = object.text("scope_name"),
            .key = object.text("key"),
            .createdAt = object.number("created_at"),
            .madeMs = object.number("made_ms"),
            .contentBytes = object.number("content_bytes"),
            .files = object.number("files"),
            .archiveBytes = object.number("archive_bytes"),
            .paths = object.texts("paths")};
}

bool isFolderName(const std::string& name)
{
    return name.size() == 32 && name.find_first_not_of("0123456789abcdef") == std::string::npos;
}

} // namespace

std::string beginningOf(const CacheHeader& header)
{
    ObjectWriter out;
    put(out, header);
    std::string json = out.finish();
    if (json.size() > room)
        throw std::runtime_error("the cache's description is too long");
    json.resize(room, ' ');
    std::string bytes(skippedFrame.begin(), skippedFrame.end());
    for (int shift = 0; shift < 32; shift += 8)
        bytes += static_cast<char>(room >> shift & 0xff);
    return bytes + json;
}

std::optional<CacheHeader> cacheHeaderOf(int archive)
{
    struct stat info = {};
    std::string bytes(caches::beginning, '\0');
    if (::fstat(archive, &info) != 0 || !S_ISREG(info.st_mode) ||
        ::pread(archive, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
        return std::nullopt;
    for (std::size_t i = 0; i < skippedFrame.size(); ++i)
        if (static_cast<unsigned char>(bytes[i]) != skippedFrame.at(i))
            return std::nullopt;
    auto header = parsed<CacheHeader>(bytes.substr(before), headerFrom);
    if (!header || header->archiveBytes != info.st_size || !isCacheKey(header->key))
        return std::nullopt;
    return header;
}

void putCaches(ObjectWriter& out, const std::vector<CacheSpec>& caches)
{
    auto& list = out.key("caches");
    list.StartArray();
    for (const CacheSpec& cache : caches)
    {
        list.StartObject();
        out.text("key", cache.key);
        out.texts("restore", cache.restore);
        out.texts("paths", cache.paths);
        list.EndObject();
    }
    list.EndArray();
}

std::vector<CacheSpec> cachesIn(const ObjectReader& object)
{
    const auto& list = object.get("caches");
    if (!list.IsArray())
        throw BadFile("has 'caches' that are no list");
    std::vector<CacheSpec> caches;
    for (const auto& item : list.GetArray())
    {
        const ObjectReader cache(item);
        caches.push_back({.key = cache.text("key"),
                          .restore = cache.find("restore") != nullptr
                                         ? cache.texts("restore")
                                         : std::vector<std::string>(), // a save by a daemon before
                          .paths = cache.texts("paths")});
    }
    return caches;
}

std::string toJson(const CachePlan& plan)
{
    ObjectWriter out;
    out.number("version", caches::version);
    out.text("workspace", plan.workspace);
    out.text("home", plan.home);
    out.text("report", plan.report);
    out.text("folder", plan.folder);
    out.text("service", plan.service);
    out.texts("scopes", plan.scopes);
    out.number("tell_ms", plan.tellMs);
    putCaches(out, plan.caches);
    return out.finish();
}

std::optional<CachePlan> cachePlanFrom(const std::string& json)
{
    return parsed<CachePlan>(
        json,
        [](const ObjectReader& object)
        {
            return CachePlan{.workspace = object.text("workspace"),
                             .home = object.text("home"),
                             .report = object.text("report"),
                             .folder = object.text("folder"),
                             .service = object.text("service"),
                             .scopes = object.texts("scopes"),
                             .caches = cachesIn(object),
                             .tellMs =
                                 object.optionalNumber("tell_ms").value_or(CachePlan().tellMs)};
        });
}

std::string toJson(const std::vector<CacheUse>& uses)
{
    ObjectWriter out;
    out.number("version", caches::version);
    auto& list = out.key("caches");
    list.StartArray();
    for (const CacheUse& use : uses)
    {
        list.StartObject();
        out.text("key", use.key);
        out.text("found", use.found);
        out.text("scope", use.scope);
        out.number("bytes", use.bytes);
        out.number("ms", use.ms);
        list.EndObject();
    }
    list.EndArray();
    return out.finish();
}

std::optional<std::vector<CacheUse>> cacheUsesFrom(const std::string& json)
{
    using Uses = std::vector<CacheUse>;
    return parsed<Uses>(json,
                        [](const ObjectReader& object) -> std::optional<Uses>
                        {
                            Uses uses;
                            const auto& list = object.get("caches");
                            if (!list.IsArray() || list.Size() > cacheBounds::caches)
                                return std::nullopt;
                            for (const auto& item : list.GetArray())
                            {
                                const ObjectReader one(item);
                                const CacheUse use{one.text("key"), one.text("found"),
                                                   one.text("scope"), one.number("bytes"),
                                                   one.number("ms")};
                                const bool keyed = use.key.empty() || isCacheKey(use.key);
                                const bool placed = use.found.empty() || (isCacheKey(use.found) &&
                                                                          isFolderName(use.scope));
                                if (!keyed || !placed || use.bytes < 0 || use.ms < 0)
                                    return std::nullopt;
                                uses.push_back(use);
                            }
                            return uses;
                        });
}

std::string toJson(const CacheSave& save)
{
    ObjectWriter out;
    put(out, save.header);
    out.text("workspace", save.workspace);
    out.text("home", save.home);
    out.text("target", save.target);
    out.text("temporary", save.temporary);
    out.number("most_bytes", save.mostBytes);
    out.number("parent", save.parent);
    return out.finish();
}

std::optional<CacheSave> cacheSaveFrom(const std::string& json)
{
    return parsed<CacheSave>(json,
                             [](const ObjectReader& object)
                             {
                                 return CacheSave{.workspace = object.text("workspace"),
                                                  .home = object.text("home"),
                                                  .target = object.text("target"),
                                                  .temporary = object.text("temporary"),
                                                  .header = headerFrom(object),
                                                  .mostBytes = object.number("most_bytes"),
                                                  .parent = object.number("parent")};
                             });
}

} // namespace agent
