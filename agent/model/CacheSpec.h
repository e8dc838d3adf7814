#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace agent
{

/// What a stage keeps from one run to the next: docs/caches.md.
struct CacheSpec
{
    std::string key;                  ///< with placeholders
    std::vector<std::string> restore; ///< beginnings of keys
    std::vector<std::string> paths;   ///< relative to the workspace, or `~/…`

    bool operator==(const CacheSpec&) const = default;
};

namespace cacheBounds
{
inline constexpr std::size_t caches = 8; ///< of a stage
inline constexpr std::size_t restore = 8;
inline constexpr std::size_t paths = 32;
inline constexpr std::size_t pathBytes = 2048; ///< of all paths of a cache
inline constexpr std::size_t keyText = 512;    ///< with its placeholders
inline constexpr std::size_t key = 200;
} // namespace cacheBounds

/// A piece of a key: text, or what is filled in.
struct CacheKeyPart
{
    enum class Kind
    {
        Text,
        FileDigest, ///< `${sha256:FILE}`
        Machine     ///< `${arch}`
    };

    Kind kind = Kind::Text;
    std::string text; ///< or the file
};

/// Returns the pieces of a key that cacheKeyProblem() finds right.
std::vector<CacheKeyPart> cacheKeyParts(std::string_view text);

/// Returns what is wrong with a key as a pipeline has it; empty: nothing.
std::string cacheKeyProblem(std::string_view text);

/// The same of a path.
std::string cachePathProblem(std::string_view text);

/// Whether it is a key whose placeholders are filled in: it is the name of a file too.
bool isCacheKey(std::string_view key);

} // namespace agent
