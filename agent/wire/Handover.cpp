#include "agent/wire/Handover.h"

#include "agent/wire/DescriptorMessage.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <span>
#include <utility>

#include <sys/socket.h>

namespace agent
{

namespace
{

/// More than an outcome with the longest message that a shim writes.
constexpr std::size_t mostOutcomeBytes = 16UL * 1024;

/// Stands before the folder, which begins with a slash.
constexpr char atWord = '-';

constexpr char go = 'g';

} // namespace

bool sendHandover(int socket, const std::string& folder, int lock, int secrets, Start start)
{
    const std::string words = (start == Start::AtWord ? std::string(1, atWord) : "") + folder;
    const std::array<int, 2> descriptors{lock, secrets};
    return sendWithDescriptors(socket, words, std::span(descriptors).first(secrets < 0 ? 1U : 2U));
}

std::optional<Handover> receiveHandover(int socket)
{
    char words[PATH_MAX + 1];
    DescriptorMessage message = receiveWithDescriptors(socket, words);
    const std::size_t count = message.descriptors.size();
    if (count == 0 || count > 2 || message.textCut || message.descriptorsCut)
        return std::nullopt;
    Handover handover;
    handover.lock = std::move(message.descriptors[0]);
    if (count == 2)
        handover.secrets = std::move(message.descriptors[1]);
    handover.start = words[0] == atWord ? Start::AtWord : Start::Now;
    const std::size_t before = handover.start == Start::AtWord ? 1 : 0;
    handover.folder.assign(words + before, message.size - before);
    return handover;
}

bool sendGo(int socket)
{
    return ::send(socket, &go, sizeof go, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof go;
}

bool awaitGo(int socket)
{
    char word = 0;
    ssize_t got = 0;
    do
        got = ::recv(socket, &word, sizeof word, 0);
    while (got < 0 && errno == EINTR);
    return got == sizeof word && word == go;
}

bool tellOutcome(int socket, const std::string& text)
{
    const auto sent = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent == static_cast<ssize_t>(text.size());
}

std::string toldOutcome(int socket)
{
    std::string text(mostOutcomeBytes, '\0');
    ssize_t got = 0;
    do
        got = ::recv(socket, text.data(), text.size(), MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, got)));
    return text;
}

} // namespace agent
