#include "agent/wire/KeeperMessage.h"

#include "agent/wire/DescriptorMessage.h"

#include <utility>

namespace agent
{

bool sendToKeeper(int socket, KeeperMessage::Kind kind, const std::vector<int>& descriptors)
{
    const char letter = static_cast<char>(kind);
    return sendWithDescriptors(socket, {&letter, 1}, descriptors);
}

std::optional<KeeperMessage> receiveKeeperMessage(int socket)
{
    char letter = 0;
    DescriptorMessage message = receiveWithDescriptors(socket, {&letter, 1});
    if (message.size != 1 || message.textCut)
        return std::nullopt;
    return KeeperMessage{.kind = static_cast<KeeperMessage::Kind>(letter),
                         .descriptors = std::move(message.descriptors),
                         .whole = !message.descriptorsCut};
}

} // namespace agent
