#pragma once

#include "agent/process/ProcessTree.h"

#include <optional>
#include <string>
#include <vector>

namespace agent
{

/// What a process waits for, as far as /proc tells.
struct ProcessWait
{
    std::string
        kind; ///< lock, socket, pipe, terminal, child, thread, time, signal, events, disk, stop
    std::string words;         ///< `a lock of /tmp/x, held by 4711 (flock)`
    std::string path;          ///< of the lock; empty: none, or unknown
    std::optional<int> holder; ///< the process that has the lock
    std::string peer; ///< the other end of the socket, `10.0.0.1:5432`; of a listening one its own
};

/// A process of a stage, with what tells a person why it waits.
struct ProcessDetail
{
    ProcessInfo info;
    std::vector<std::string> arguments; ///< as executed, at most 4 KiB; empty: unknown
    std::optional<ProcessWait> wait;    ///< none: it runs, or nobody knows
};

/// Looks at each of `processes`. Never asks a file system of theirs, which may hang.
/// Blocks: for a walk over /proc where one of them waits for a lock whose taker has ended.
/// Source: proc(5), proc_locks(5), proc_pid_syscall(5).
std::vector<ProcessDetail> detailsOf(const std::vector<ProcessInfo>& processes);

} // namespace agent
