#pragma once

#include "agent/model/Stage.h"
#include "agent/shim/StageCgroup.h"

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace agent
{

/// What /proc/PID/stat says of a process.
struct ProcessStat
{
    pid_t pid = 0;
    pid_t parent = 0;
    char state = '?'; ///< of its first thread
    int threads = 1;
    std::uint64_t startTime = 0; ///< with the pid it names one process for ever

    /// One whose first thread has ended looks like a zombie as long as others go on.
    [[nodiscard]] bool alive() const { return (state != 'Z' || threads > 1) && state != 'X'; }
};

/// Shape: nothing when there is no such process.
std::optional<ProcessStat> processStat(pid_t pid);

/// Every process of the stage: what lives in its cgroup and what descends from the shim, which as
/// subreaper inherits every orphan, so that neither setsid nor a double fork leads out.
class StageProcesses
{
public:
    explicit StageProcesses(const std::string& cgroup) : _cgroup(cgroup) {}

    [[nodiscard]] StageCgroup& cgroup() { return _cgroup; }
    [[nodiscard]] std::string_view containment() const;

    /// Says which child is the stage's command.
    void setCommand(pid_t pid) { _command = pid; }

    /// Reaps every child that ended. Shape: false once there is no descendant left.
    bool reap();

    /// How the command ended, as waitpid gives it; nothing while it lives.
    [[nodiscard]] const std::optional<int>& commandStatus() const { return _commandStatus; }

    /// Sends TERM to all, also to what is forked meanwhile, and CONT so that the stopped can answer it. What
    /// they fork to clean up is left to go on.
    void terminate() const;

    /// Sends KILL to all; what forked meanwhile is found by the next call.
    void kill();

    /// Whether there are some and the kernel holds each: all that is left of it is in state D.
    [[nodiscard]] bool held() const;

    /// What they used: from the cgroup as far as it counts, else from those that were reaped.
    [[nodiscard]] Usage usage() const;

private:
    [[nodiscard]] std::vector<ProcessStat> list() const;

    /// Sends STOP to all: a tree that grows faster than we can walk it doesn't then. Shape: who they are.
    [[nodiscard]] std::vector<ProcessStat> hold() const;

    StageCgroup _cgroup;
    pid_t _command = 0;
    std::optional<int> _commandStatus;
    bool _killedBefore = false;
};

} // namespace agent
