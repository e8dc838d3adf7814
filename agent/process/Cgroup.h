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
/// Shims stay beside the daemon in `agent`, so that no stage's limit or end ever hits its shim.
/// Threads: the engine's only.
class Cgroup
{
public:
    /// None: every stage is contained by its shim's subreaper.
    Cgroup() = default;

    /// Finds the cgroup2 mount in /proc/self/mountinfo and the daemon's group in /proc/self/cgroup, moves
    /// the daemon into a leaf of it, enables the controllers that are there, and makes `stages/` for
    /// this state folder (`name` tells daemons of one host apart).
    /// `apart`: beside a daemon that may be there, never in its tree, also where one of ours started us.
    /// Shape: a Cgroup that is not available() where any of it can't be; why() says why.
    static Cgroup open(const std::string& name, bool apart = false);

    /// What the daemon `pid` has; with 0, what one could have that were started as we are. Makes, moves and
    /// enables nothing: for missing() and why() only.
    static Cgroup seen(int pid);

    [[nodiscard]] bool available() const { return !_stages.empty(); }
    [[nodiscard]] const std::string& why() const { return _why; }

    /// Which of `limits` no controller would hold here, comma-separated: "memory,cpu".
    [[nodiscard]] std::string missing(const Limits& limits) const;

    /// Makes the group of one attempt and applies its limits.
    /// Shape: the folder; empty when not available. `missing` gets the limits that no controller holds,
    /// comma-separated.
    /// Errors: std::system_error when the group can't be made.
    [[nodiscard]] std::string make(const std::string& name, const Limits& limits,
                                   std::string& missing) const;

    /// Sets the limits of `group` once more: a restart under systemd takes the controllers away for a
    /// moment, and their limits with them. `missing` as with make().
    static void applyLimits(const std::string& group, const Limits& limits, std::string& missing);

    /// Removes our own empty groups and moves the daemon back to where it came from. For a graceful end
    /// with no stage running.
    void removeTree() const;

    /// Whether `group` is there and is a stage's, made by a daemon of ours: the only kind to be ended.
    static bool isStageGroup(const std::filesystem::path& group);

    /// The pids in `group` and in the groups below it.
    static std::vector<int> processesIn(const std::filesystem::path& group);

    /// Sends KILL to all in `group` and below. Source: cgroup.kill of cgroups(7), Linux 5.14.
    /// Shape: how many processes were there before.
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
