#include "agent/run/TokenSecret.h"

#include <Poco/DigestEngine.h>
#include <Poco/SHA2Engine.h>

#include <array>
#include <cerrno>
#include <system_error>

#include <sys/random.h>

namespace agent
{

std::string newSecret(std::string_view prefix)
{
    std::array<unsigned char, 32> bytes{};
    // So few bytes come at once or not at all.
    if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
        throw std::system_error(errno, std::generic_category(), "getrandom");
    std::string secret(prefix);
    constexpr std::string_view digits = "0123456789abcdef";
    for (const unsigned char byte : bytes)
    {
        secret += digits[byte >> 4U];
        secret += digits[byte & 0xFU];
    }
    return secret;
}

std::string digestOf(std::string_view secret)
{
    Poco::SHA2Engine engine(Poco::SHA2Engine::SHA_256);
    engine.update(secret.data(), secret.size());
    return Poco::DigestEngine::digestToHex(engine.digest());
}

bool equalDigests(std::string_view one, std::string_view other)
{
    if (one.size() != other.size())
        return false;
    unsigned char difference = 0;
    for (std::size_t i = 0; i < one.size(); ++i)
        difference =
            static_cast<unsigned char>(difference | (static_cast<unsigned char>(one[i]) ^
                                                     static_cast<unsigned char>(other[i])));
    return difference == 0;
}

} // namespace agent
