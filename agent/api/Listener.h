#pragma once

#include "agent/api/Peer.h"
#include "agent/os/FileDescriptor.h"

namespace agent
{

/// A listening, non-blocking socket, and what connects there.
struct Listener
{
    FileDescriptor socket;
    Peer::Door door = Peer::Door::Tcp;
    bool tls = false; ///< connections begin with a handshake
};

} // namespace agent
