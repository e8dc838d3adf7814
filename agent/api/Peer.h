#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

namespace agent
{

/// Who is at the other end of a connection, as the kernel knows it.
struct Peer
{
    enum class Door
    {
        Tcp,
        Unix,
    };

    Door door = Door::Tcp;
    std::string address;                ///< numeric, without the port; empty for the Unix socket
    bool encrypted = false;             ///< the connection is TLS
    uid_t uid = static_cast<uid_t>(-1); ///< Unix: SO_PEERCRED
    gid_t gid = static_cast<gid_t>(-1);
    std::vector<gid_t> groups; ///< Unix: SO_PEERGROUPS, the supplementary ones
    std::string user; ///< Unix: the account's name, or the number; not known in Handler::atOnce
};

} // namespace agent
