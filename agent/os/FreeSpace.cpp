#include "agent/os/FreeSpace.h"

#include <sys/statvfs.h>

namespace agent
{

std::optional<FreeSpace> freeSpaceOf(const std::string& path)
{
    struct statvfs info = {};
    if (::statvfs(path.c_str(), &info) != 0)
        return std::nullopt;
    FreeSpace space{.bytes = static_cast<std::int64_t>(info.f_bavail) *
                             static_cast<std::int64_t>(info.f_frsize),
                    .inodes = std::nullopt,
                    .inodesInAll = static_cast<std::int64_t>(info.f_files)};
    if (info.f_files > 0)
        space.inodes = static_cast<std::int64_t>(info.f_favail);
    return space;
}

} // namespace agent
