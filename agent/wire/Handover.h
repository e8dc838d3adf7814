#pragma once

#include "agent/os/FileDescriptor.h"

#include <optional>
#include <string>

namespace agent
{

/// What the daemon hands to a shim that waits (`stage-shim --wait`): its attempt. One message of a SOCK_SEQPACKET
/// pair: the folder as text, and shim.lock, flocked, with the memfd of secrets, if there are any, as descriptors
/// (SCM_RIGHTS of unix(7)). Then the shim sends the text of its outcome the other way, once, before it exits: a daemon that
/// is still the same needs no file to know how the attempt ended, and no stage can write there.
struct Handover
{
    std::string folder;
    FileDescriptor lock;
    FileDescriptor secrets; ///< not valid: there are none
};

/// The first words of a waiting shim's arguments; blanks follow, as room for the name of its folder.
constexpr const char* waitArgument = "--wait";

/// Sends it. Returns whether it was sent; false where the shim is gone. Blocks: never.
bool sendHandover(int socket, const std::string& folder, int lock, int secrets);

/// Receives it. Returns nothing when the daemon has closed its end, or sent something else.
/// Blocks: until either.
std::optional<Handover> receiveHandover(int socket);

/// Sends the outcome's text. Returns whether it was sent; false where the daemon is gone. Blocks: never.
bool tellOutcome(int socket, const std::string& text);

/// Returns what the shim has told; empty where it has told nothing. Blocks: never.
std::string toldOutcome(int socket);

} // namespace agent
