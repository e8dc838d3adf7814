#include "agent/os/FolderIdentity.h"

#include "agent/os/Sha256.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <initializer_list>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

namespace agent
{

namespace
{

namespace fs = std::filesystem;

constexpr std::size_t mostNames = 10'000;

/// Longer than the kernel's tick, by which its file systems tell the time.
constexpr std::int64_t settledAfterNs = 100'000'000;

std::int64_t nanoseconds(const timespec& time)
{
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

std::int64_t now()
{
    timespec time = {};
    ::clock_gettime(CLOCK_REALTIME, &time);
    return nanoseconds(time);
}

/// The folder and all below it, in the order of their bytes. Errors: none; too many, or fs::filesystem_error.
std::vector<std::string> namesFrom(const std::string& folder)
{
    std::vector<std::string> names{folder};
    for (const auto& entry : fs::recursive_directory_iterator(folder))
    {
        if (names.size() > mostNames)
            return {};
        names.push_back(entry.path().string());
    }
    std::sort(names.begin(), names.end());
    return names;
}

/// Returns whether a user other than root can change the file: by its mode, as its owner, who can change the mode, or,
/// this process's user, by any other right that the kernel grants it. A file system that is mounted read-only here may be writable elsewhere.
bool isChangeable(const std::string& path, const struct stat& info)
{
    if (info.st_uid != 0)
        return true;
    return !S_ISLNK(info.st_mode) &&
           ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0 ||
            ::faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) == 0 || errno != EACCES);
}

} // namespace

std::string identityOfFolder(const std::string& folder)
try
{
    if (::geteuid() == 0)
        return "";
    const std::int64_t settled = now() - settledAfterNs;
    const std::vector<std::string> names = namesFrom(folder);
    Sha256 sum;
    for (const std::string& name : names)
    {
        struct stat info = {};
        if (::lstat(name.c_str(), &info) != 0 || isChangeable(name, info) ||
            nanoseconds(info.st_ctim) > settled)
            return "";
        std::string line = name + '\0';
        for (const std::int64_t value :
             {static_cast<std::int64_t>(info.st_dev), static_cast<std::int64_t>(info.st_ino),
              std::int64_t{info.st_mode}, std::int64_t{info.st_uid}, std::int64_t{info.st_size},
              nanoseconds(info.st_mtim), nanoseconds(info.st_ctim)})
            line.append(std::to_string(value)).push_back(' ');
        sum.update(line);
    }
    return names.empty() ? "" : toHex(sum.digest());
}
catch (const fs::filesystem_error&)
{
    return "";
}

} // namespace agent
