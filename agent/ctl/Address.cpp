#include "agent/ctl/Address.h"

#include "agent/ctl/Failure.h"
#include "agent/ctl/Text.h"

#include <Poco/Exception.h>
#include <Poco/String.h>
#include <Poco/URI.h>

namespace agent::ctl
{

namespace
{

[[noreturn]] void refuse(const std::string& url)
{
    throw Failure(Exit::Usage, "the agent's address must be HOST:PORT, http://HOST[:PORT], "
                               "https://HOST[:PORT] or unix:///PATH, not '" +
                                   visible(url) + "'");
}

std::string withoutEndSlash(std::string text)
{
    while (!text.empty() && text.back() == '/')
        text.pop_back();
    return text;
}

} // namespace

std::string addressUrl(const std::string& given)
{
    const std::size_t colon = given.rfind(':');
    const bool scheme = given.find('/') != std::string::npos;
    const bool port = colon != std::string::npos && colon > 0 && colon + 1 < given.size() &&
                      given.find_first_not_of("0123456789", colon + 1) == std::string::npos;
    return port && !scheme ? "http://" + given : given;
}

Address parseAddress(const std::string& url)
try
{
    const std::string unixScheme = "unix://";
    if (url.starts_with(unixScheme))
    {
        // Not percent-encoded: a file's name may hold anything.
        const std::string file = url.substr(unixScheme.size());
        if (file.size() < 2 || file.front() != '/' || file.back() == '/')
            refuse(url);
        return {.scheme = Address::Scheme::Unix, .socket = file};
    }
    const bool https = url.starts_with("https://");
    if (!https && !url.starts_with("http://"))
        refuse(url);
    const Poco::URI uri(withoutEndSlash(url));
    if (uri.getHost().empty() || uri.getAuthority().back() == ':' || !uri.getUserInfo().empty() ||
        !uri.getRawQuery().empty() || !uri.getFragment().empty())
        refuse(url);
    return {.scheme = https ? Address::Scheme::Https : Address::Scheme::Http,
            .host = Poco::toLower(uri.getHost()),
            .port = uri.getPort(),
            .path = withoutEndSlash(uri.getPath())};
}
catch (const Poco::Exception&)
{
    refuse(url);
}

} // namespace agent::ctl
