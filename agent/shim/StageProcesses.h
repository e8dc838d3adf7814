#pragma once

#include "agent/model/Stage.h"
#include "agent/os/ProcessStat.h"
#include "agent/shim/StageCgroup.h"

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace agent
{

/// Every process of the stage: what lives in its cgroup and what descends from the shim, which as
/// subreaper inherits every orphan, so that neither setsid nor a double fork leads out.
class StageProcesses
{
public:
    explicit StageProcesses(const std::string& cgroup) : _cgroup(cgroup) {}

    [[nodiscard]] StageCgroup& cgroup() { return _cgroup; }
    [[nodiscard]] std::string_view containment() const;

    /// Sets which child is the stage's command.
    void setCommand(pid_t pid) { _command = pid; }

    /// Reaps all ended children; returns false once no descendant is left.
    bool reap();

    /// Returns the command's wait status; nullopt while it runs.
    [[nodiscard]] const std::optional<int>& commandStatus() const { return _commandStatus; }

    /// Sends SIGTERM to all, including new children forked meanwhile, and SIGCONT so that stopped ones handle it.
    /// Children forked for cleanup are left running.
    void terminate() const;

    /// Sends SIGKILL to all; children forked meanwhile are found by the next call.
    void kill();

    /// Returns those that live now, the command's too.
    [[nodiscard]] std::vector<ProcessStat> list() const;

    /// Returns whether processes are left and all are in state D.
    [[nodiscard]] bool held() const;

    /// Returns the resource usage from the cgroup, else from reaped processes.
    [[nodiscard]] Usage usage() const;

private:
    /// Sends SIGSTOP to all, which prevents a tree from growing faster than it is walked; returns them.
    [[nodiscard]] std::vector<ProcessStat> hold() const;

    StageCgroup _cgroup;
    pid_t _command = 0;
    std::optional<int> _commandStatus;
    bool _killedBefore = false;
};

} // namespace agent
