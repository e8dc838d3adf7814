#pragma once

#include "agent/wire/Order.h"

#include <filesystem>
#include <string>
#include <vector>

namespace agent
{

/// The daemon's own part of the cgroup v2 tree, where each stage gets a group of its own. Where none is
/// writable everything here is a no-op and the shim falls back to subreaper, session and descendants.
///
///     <unit>/agent, <unit>/stages/<stageId>.<attempt>                       a systemd unit of ours
///     <group>/stage-agent.<name>/agent, …/stages/<stageId>.<attempt>        started any other way
///
/// Shims stay beside the daemon in `agent`, so that no stage's limit or end ever hits its shim; so does the keeper. Whatever
/// the daemon starts before open() stays outside, and may keep it from having the unit's group as its tree.
/// Threads: the engine's only.
class Cgroup
{
public:
    /// Not available: every stage is contained by its shim as subreaper.
    Cgroup() = default;

    /// Finds the cgroup2 mount in /proc/self/mountinfo and the daemon's group in /proc/self/cgroup, moves
    /// the daemon into a leaf of it, enables the controllers that are there, and makes `stages/` for
    /// this state folder (`name` is unique among the daemons of a host).
    /// `apart`: outside the tree of any daemon, even if started by one.
    /// Returns a Cgroup that is not available() if any of it fails; why() has the reason.
    static Cgroup open(const std::string& name, bool apart = false);

    /// Returns what the daemon `pid` has; with 0, what a daemon started like this process would have. Changes
    /// nothing: for missing() and why() only.
    static Cgroup seen(int pid);

    [[nodiscard]] bool available() const { return !_stages.empty(); }
    [[nodiscard]] const std::string& why() const { return _why; }

    /// Returns those of `limits` that no controller can enforce here, comma-separated: "memory,cpu".
    [[nodiscard]] std::string missing(const Limits& limits) const;

    /// Creates the group of an attempt and applies its limits. Returns the folder; empty if not available.
    /// `missing` is set to the limits that can't be enforced, comma-separated.
    /// Errors: std::system_error if the group can't be created.
    [[nodiscard]] std::string make(const std::string& name, const Limits& limits,
                                   std::string& missing) const;

    /// Sets the limits of `group` again: a restart under systemd temporarily disables the controllers, which
    /// drops the limits. `missing` as with make().
    static void applyLimits(const std::string& group, const Limits& limits, std::string& missing);

    /// Removes our empty groups and moves the daemon back to its original group, with the keeper. For a graceful stop with no
    /// stage running.
    void removeTree() const;

    /// Returns whether `group` exists and is a stage's, created by a stage-agent: only these may be killed.
    static bool isStageGroup(const std::filesystem::path& group);

    /// Returns the pids in `group` and the groups below it.
    static std::vector<int> processesIn(const std::filesystem::path& group);

    /// Sends SIGKILL to all processes in `group` and below; returns how many there were. Source: cgroup.kill of
    /// cgroups(7), Linux 5.14.
    static std::size_t killAll(const std::filesystem::path& group);

    /// Removes `group` and the groups below it as far as they are empty.
    static void remove(const std::filesystem::path& group);

private:
    std::filesystem::path _home;   ///< what the tree is in, or is
    std::filesystem::path _from;   ///< where the daemon goes back to
    std::filesystem::path _tree;   ///< holds agent/ and stages/; may be _home itself
    std::filesystem::path _stages; ///< empty: not available
    std::string _held; ///< controllers that the stages' groups have, each between blanks
    std::string _why;
};

} // namespace agent
