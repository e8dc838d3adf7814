#pragma once

#include "agent/os/FileDescriptor.h"

#include <optional>
#include <string>

namespace agent
{

/// When a shim is to execute the attempt that it gets.
enum class Start
{
    Now,   ///< its start is on record
    AtWord ///< its start is being recorded: not before sendGo(), and never where that does not come
};

/// What the daemon hands to a shim that waits (`stage-shim --wait`): its attempt. One message of a SOCK_SEQPACKET
/// pair: the folder as text, behind a `-` where the shim is to wait for the word, and shim.lock, flocked, with the memfd of
/// secrets, if there are any, as descriptors (SCM_RIGHTS of unix(7)). Then the shim sends the text of its outcome the
/// other way, once, before it exits: a daemon that is still the same needs no file to know how the attempt ended, and no
/// stage can write there.
struct Handover
{
    std::string folder;
    FileDescriptor lock;
    FileDescriptor secrets; ///< not valid: there are none
    Start start = Start::Now;
};

/// The first words of a waiting shim's arguments; blanks follow, as room for the name of its folder.
constexpr const char* waitArgument = "--wait";

/// Sends it. Returns whether it was sent; false where the shim is gone. Blocks: never.
bool sendHandover(int socket, const std::string& folder, int lock, int secrets, Start start);

/// Receives it. Returns nothing when the daemon has closed its end, or sent something else.
/// Blocks: until either.
std::optional<Handover> receiveHandover(int socket);

/// Sends the word that the attempt may be executed now. Returns whether it was sent; false where the shim is gone.
/// Blocks: never.
bool sendGo(int socket);

/// Returns whether the word came; false when the daemon has closed its end. Blocks: until either.
bool awaitGo(int socket);

/// Sends the outcome's text. Returns whether it was sent; false where the daemon is gone. Blocks: never.
bool tellOutcome(int socket, const std::string& text);

/// Returns what the shim has told; empty where it has told nothing. Blocks: never.
std::string toldOutcome(int socket);

} // namespace agent
