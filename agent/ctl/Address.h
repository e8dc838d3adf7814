#pragma once

#include <cstdint>
#include <string>

namespace agent::ctl
{

/// Where an agent is.
struct Address
{
    enum class Scheme
    {
        Http,
        Https,
        Unix
    };

    Scheme scheme = Scheme::Http;
    std::string host; ///< in lower case, without the brackets of an IPv6 address; of Unix: empty
    std::uint16_t port = 0; ///< of Unix: 0
    std::string path;       ///< what the API's paths begin with: empty, or beginning with `/`
    std::string socket;     ///< of Unix: the file

    bool operator==(const Address&) const = default;
};

/// Returns the URL that is meant by an address: `HOST:PORT` is `http://HOST:PORT`; anything else stays.
std::string addressUrl(const std::string& given);

/// Parses http://HOST[:PORT][/PATH], https://HOST[:PORT][/PATH] or unix:///PATH.
/// Errors: Failure Usage.
Address parseAddress(const std::string& url);

} // namespace agent::ctl
