#pragma once

#include <string>
#include <vector>

namespace agent
{

/// The mounts of this process's namespace, read once.
class MountTable
{
public:
    /// Source: proc(5), /proc/PID/mountinfo. What can't be read is empty.
    MountTable();

    /// Returns where else `path`, or a part of what is below it, can be reached: a bind mount shows the same folder
    /// under two names. `path`: absolute, without symlinks.
    [[nodiscard]] std::vector<std::string> aliasesOf(const std::string& path) const;

private:
    struct Mount
    {
        std::string device; ///< major:minor
        std::string root;   ///< the folder of its file system that it shows
        std::string point;
    };

    std::vector<Mount> _mounts; ///< in the order in which they were made
};

/// Whether `path` is `folder`, or below it.
bool isIn(const std::string& path, const std::string& folder);

} // namespace agent
