#include "agent/store/ArtifactContents.h"

#include <algorithm>

namespace agent
{

namespace
{

/// A digest becomes a part of a path.
bool isDigest(const std::string& text)
{
    return text.size() == 64 &&
           std::all_of(text.begin(), text.end(),
                       [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

} // namespace

std::optional<RegularFile> ArtifactContents::open(const std::string& sha256,
                                                  std::int64_t size) const
{
    if (!isDigest(sha256))
        return std::nullopt;
    try
    {
        auto file = RegularFile::open((_root / "objects" / sha256.substr(0, 2) / sha256).string());
        if (file && file->size() != static_cast<std::uint64_t>(size))
            return std::nullopt;
        return file;
    }
    catch (const DamagedFile&)
    {
        return std::nullopt;
    }
}

} // namespace agent
