#include "agent/outbox/Destination.h"

#include <Poco/Exception.h>
#include <Poco/Net/IPAddress.h>
#include <Poco/String.h>
#include <Poco/StringTokenizer.h>
#include <Poco/URI.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace agent
{

using Poco::Net::IPAddress;

namespace
{

/// An IPv4 address inside an IPv6 one counts as itself.
IPAddress plain(const IPAddress& address)
{
    if (address.family() != IPAddress::IPv6 || !address.isIPv4Mapped())
        return address;
    const auto* bytes = static_cast<const char*>(address.addr());
    return {bytes + 12, 4};
}

std::string variable(const std::string& name)
{
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? "" : value;
}

bool isListed(const std::string& list, const std::string& host)
{
    const Poco::StringTokenizer entries(
        list, ",", Poco::StringTokenizer::TOK_TRIM | Poco::StringTokenizer::TOK_IGNORE_EMPTY);
    for (std::string entry : entries)
    {
        if (entry == "*")
            return true;
        if (entry.starts_with('.'))
            entry.erase(0, 1);
        if (Poco::icompare(entry, host) == 0 ||
            Poco::toLower(host).ends_with("." + Poco::toLower(entry)))
            return true;
    }
    return false;
}

bool isLoopback(const std::string& host)
{
    IPAddress address;
    return Poco::icompare(host, std::string("localhost")) == 0 ||
           (IPAddress::tryParse(host, address) && address.isLoopback());
}

} // namespace

std::string addressProblem(const IPAddress& given, bool linkLocal)
{
    // Metadata of clouds at addresses that are not of the link: AWS and Google (IPv6), Alibaba, Azure's host.
    static const std::array metadata{IPAddress("fd00:ec2::254"), IPAddress("fd20:ce::254"),
                                     IPAddress("100.100.100.200"), IPAddress("168.63.129.16")};
    const IPAddress address = plain(given);
    if (address.isWildcard() || address.isBroadcast() || address.isMulticast())
        return address.toString() + " is no address of a host";
    bool refused = address.isLinkLocal();
    for (const auto& one : metadata)
        refused = refused || address == one;
    if (refused && !linkLocal)
        return address.toString() +
               " is an address of the link, or of a cloud's metadata; a target that is meant to "
               "be there says allow_link_local: true";
    return "";
}

std::optional<Proxy> proxyFor(const std::string& scheme, const std::string& host)
{
    if (isLoopback(host))
        return std::nullopt;
    std::string name = scheme + "_proxy";
    std::string value = variable(name);
    if (value.empty() && scheme == "https")
        value = variable(name = "HTTPS_PROXY");
    if (value.empty())
        return std::nullopt;
    const std::string direct = variable("no_proxy");
    if (isListed(direct.empty() ? variable("NO_PROXY") : direct, host))
        return std::nullopt;
    try
    {
        const Poco::URI uri(value.find("://") == std::string::npos ? "http://" + value : value);
        if (uri.getScheme() != "http" || uri.getHost().empty())
            throw std::runtime_error("");
        Proxy proxy{.host = uri.getHost(), .port = uri.getPort()};
        const std::string user = uri.getUserInfo();
        const std::size_t colon = user.find(':');
        Poco::URI::decode(user.substr(0, colon), proxy.user);
        if (colon != std::string::npos)
            Poco::URI::decode(user.substr(colon + 1), proxy.password);
        return proxy;
    }
    catch (const std::exception&)
    {
        throw std::runtime_error(name + " holds no proxy: expected http://HOST:PORT");
    }
}

} // namespace agent
