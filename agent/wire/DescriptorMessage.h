#pragma once

#include "agent/os/FileDescriptor.h"

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace agent
{

/// What was received of one message of a SOCK_SEQPACKET socket with open descriptors (SCM_RIGHTS of unix(7)).
struct DescriptorMessage
{
    std::size_t size = 0; ///< of the text; 0: the other side is gone
    std::vector<FileDescriptor> descriptors;
    bool textCut = false; ///< there was no room for all of the text
    /// Some of the descriptors are missing: there were more than 8, or the process may have no more.
    bool descriptorsCut = false;
};

/// Sends a text that is not empty; the descriptors stay the caller's, 8 at most. Returns whether all was sent. Blocks: never.
bool sendWithDescriptors(int socket, std::string_view text, std::span<const int> descriptors);

/// Receives a message into `text`; the descriptors are closed on exec. Blocks: until there is one, or the other side is gone.
DescriptorMessage receiveWithDescriptors(int socket, std::span<char> text);

} // namespace agent
