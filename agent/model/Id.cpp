#include "agent/model/Id.h"

#include <array>
#include <cerrno>
#include <sys/random.h>
#include <system_error>

namespace agent
{

namespace
{

bool isDash(std::size_t position)
{
    return position == 8 || position == 13 || position == 18 || position == 23;
}

} // namespace

std::string newId()
{
    std::array<unsigned char, 16> bytes{};
    std::size_t have = 0;
    while (have < bytes.size())
    {
        const ssize_t got = getrandom(bytes.data() + have, bytes.size() - have, 0);
        if (got > 0)
            have += static_cast<std::size_t>(got);
        else if (errno != EINTR)
            throw std::system_error(errno, std::generic_category(), "getrandom");
    }
    bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0f) | 0x40);
    bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3f) | 0x80);

    std::string id;
    id.reserve(36);
    for (const unsigned char byte : bytes)
    {
        if (isDash(id.size()))
            id += '-';
        id += "0123456789abcdef"[byte >> 4];
        id += "0123456789abcdef"[byte & 0x0f];
    }
    return id;
}

std::string newIdBeside(std::string_view id)
{
    constexpr std::size_t shared = 4; // few enough for 8 digits to tell the stages of a run apart
    return newId().replace(0, shared, id.substr(0, shared));
}

std::optional<std::string> parseId(std::string_view text)
{
    if (text.size() != 36)
        return std::nullopt;
    std::string id(text);
    for (std::size_t i = 0; i < id.size(); ++i)
    {
        char& c = id[i];
        if (isDash(i))
        {
            if (c != '-')
                return std::nullopt;
            continue;
        }
        if (c >= 'A' && c <= 'F')
            c = static_cast<char>(c - 'A' + 'a');
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return std::nullopt;
    }
    return id;
}

bool isVersion4(std::string_view text)
{
    const auto id = parseId(text);
    return id && *id == text && text[14] == '4' &&
           (text[19] == '8' || text[19] == '9' || text[19] == 'a' || text[19] == 'b');
}

} // namespace agent
