#pragma once

#include "agent/os/FileDescriptor.h"

#include <vector>

namespace agent
{

/// The descriptors that systemd passes to the agent.
/// Source: sd_listen_fds_with_names(3); sd_pid_notify_with_fds(3), FDSTORE=1.
struct PassedBySystemd
{
    std::vector<FileDescriptor> sockets; ///< of the .socket unit

    /// A memory file that it holds while the agent is restarted: that of the daemon before, else a new one that it was
    /// asked to keep. Where it keeps none (FileDescriptorStoreMax= of the unit) this ends with the daemon. Not valid
    /// without systemd.
    FileDescriptor memory;

    /// Takes them; once. Children are not told of them.
    /// Threads: before any other is started.
    static PassedBySystemd take();
};

} // namespace agent
