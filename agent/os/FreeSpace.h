#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace agent
{

/// What a file system has left for us.
struct FreeSpace
{
    std::int64_t bytes = 0;
    std::optional<std::int64_t> inodes; ///< none: it makes them as it needs them
    std::int64_t inodesInAll = 0;

    /// So little that what fails there may fail for it: most programs remove what they could not write whole.
    [[nodiscard]] bool nothing() const
    {
        constexpr std::int64_t fewBytes = std::int64_t{1} << 20;
        constexpr std::int64_t fewInodes = 16;
        return bytes < fewBytes || (inodes && *inodes < fewInodes);
    }
};

/// Returns that of the file system of `path`; nothing when it can't be told.
std::optional<FreeSpace> freeSpaceOf(const std::string& path);

} // namespace agent
