#pragma once

#include "agent/model/Stage.h"
#include "agent/os/FileDescriptor.h"

#include <cstdint>
#include <string>
#include <vector>

#include <sys/types.h>

namespace agent
{

/// The stage's own cgroup v2 folder, made by the daemon; the shim itself lives outside of it.
/// Source: the kernel's Documentation/admin-guide/cgroup-v2.rst.
class StageCgroup
{
public:
    /// `folder` empty, unreadable or with this process inside: not available.
    explicit StageCgroup(const std::string& folder);

    [[nodiscard]] bool available() const { return _folder.valid(); }

    /// Open descriptor of the folder, for clone3; -1 when not available.
    [[nodiscard]] int folder() const { return _folder.get(); }

    /// Does without it from now on.
    void abandon() { _folder.reset(); }

    /// Says whether a process lives in it or in a group below it.
    [[nodiscard]] bool populated() const;

    /// Sends KILL to all of them at once, against which no fork helps.
    void kill() const;

    [[nodiscard]] std::vector<pid_t> pids() const;

    /// How often the kernel killed in it for memory.
    [[nodiscard]] std::int64_t oomKills() const;

    /// Raises `usage` to what the group counted. What no controller counts stays as it is, and what one
    /// counts from zero since a restart under systemd, which takes it away for a moment, lowers nothing.
    void addUsage(Usage& usage) const;

private:
    [[nodiscard]] std::string read(const std::string& name) const;

    std::string _path;
    FileDescriptor _folder;
};

} // namespace agent
