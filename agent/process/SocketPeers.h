#pragma once

#include <map>
#include <string>

namespace agent
{

/// A TCP socket of a process's network.
struct SocketPeer
{
    std::string
        address; ///< `10.0.0.1:5432`, `[::1]:5432`: of the other end; of a listening one its own
    bool listens = false;
    bool connecting = false;

    /// `data from 10.0.0.1:5432`
    [[nodiscard]] std::string words() const;
};

/// Returns the TCP sockets in the network of the process, by inode.
/// Source: proc_pid_net(5).
std::map<std::string, SocketPeer> socketPeers(int pid);

/// Returns INODE of `socket:[INODE]`; empty for other texts.
std::string inodeOf(const std::string& target);

} // namespace agent
