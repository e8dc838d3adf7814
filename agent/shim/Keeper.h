#pragma once

#include "agent/os/FileDescriptor.h"

#include <string>

namespace agent
{

/// Is the keeper: holds the daemon's listening sockets, so that no stage can take their addresses while there is no daemon.
/// It accepts no connection there.
///
/// `daemon`: the socket to the daemon that started us. It sends the listening sockets, and the pidfd of each shim
/// (wire/KeeperMessage.h). When it is gone, the next daemon of the state folder connects to `door`, which listens at
/// keeper.sock in `folder`; it gets the sockets and is the daemon then. One of another user than ours or root gets
/// nothing. Returns when there is no daemon and none of the shims lives, or the daemon has nothing to be held; then the
/// sockets are closed, and keeper.sock is gone, where it still is the one that was there at the start. A TERM is not heeded: who asks all processes of a unit to end gets
/// that with the end of the stages.
void keepSockets(FileDescriptor daemon, const FileDescriptor& door, const std::string& folder);

} // namespace agent
