#pragma once

#include <sys/types.h>

#include <linux/sched.h>

namespace agent
{

/// What a clone's child does: it ends in an exec, or its result is its exit status. It runs on the
/// caller's memory while the caller is suspended, so it makes system calls and nothing else: no allocation,
/// no lock, no stream, and it changes no variable but its own and errno.
using CloneMain = int (*)(void* argument);

/// Starts a process that runs `childMain(argument)`. `args` gives CLONE_PIDFD, CLONE_INTO_CGROUP and what they
/// need; this adds the rest. Handlers of signals are reset in the child; what is ignored stays ignored.
/// Returns: its pid; -1 and errno.
/// Blocks: until the child executes a program or exits. Its cost does not grow with our memory: no page table
/// is copied. Source: clone3 with CLONE_VM | CLONE_VFORK | CLONE_CLEAR_SIGHAND (Linux 5.5), clone(2).
/// Threads: any; the caller has blocked all signals.
pid_t cloneShared(clone_args args, CloneMain childMain, void* argument);

/// The same with a copy of our memory, as fork makes it: for processors that cloneShared() has no code for, where
/// it calls this.
pid_t cloneCopied(clone_args args, CloneMain childMain, void* argument);

} // namespace agent
