#pragma once

#include "agent/os/FileDescriptor.h"

#include <optional>
#include <vector>

namespace agent
{

/// What daemon and keeper (shim/Keeper.h) say to each other over SOCK_SEQPACKET: a letter, with descriptors (SCM_RIGHTS of
/// unix(7)). A keeper serves daemons of later versions, so this stays as it is.
struct KeeperMessage
{
    enum class Kind : char
    {
        Sockets =
            'L', ///< the listening sockets, all; to the keeper, which answers Done, or from it to the next daemon
        Shim = 'S', ///< the pidfd of a shim, to the keeper
        Done = 'k'  ///< the keeper holds what it was sent, and nothing else any more
    };

    Kind kind = Kind::Done;
    std::vector<FileDescriptor> descriptors;
    bool whole =
        true; ///< false: received without some of the descriptors, as the process may have no more
};

/// The first word of a keeper's argument; a blank and the state folder follow.
constexpr const char* keepArgument = "--keep ";

/// The keeper's socket in the state folder, where the next daemon comes.
constexpr const char* keeperDoor = "keeper.sock";

/// Sends it; the descriptors stay the caller's, 8 at most. Returns whether it was sent. Blocks: never.
bool sendToKeeper(int socket, KeeperMessage::Kind kind, const std::vector<int>& descriptors = {});

/// Receives one. Returns nothing when the other side is gone, or sent something else. Blocks: until either.
std::optional<KeeperMessage> receiveKeeperMessage(int socket);

} // namespace agent
