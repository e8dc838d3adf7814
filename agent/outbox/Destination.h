#pragma once

#include <optional>
#include <string>

#include <Poco/Net/SocketAddress.h>

namespace agent
{

/// Why nothing may be sent to this address; empty when it may. Refused are addresses of the link, under which clouds
/// serve their metadata with credentials (unless `linkLocal`), the other addresses of such services, unspecified
/// addresses and groups of hosts.
/// Source: RFC 3927, RFC 4291 2.5.6
std::string addressProblem(const Poco::Net::IPAddress& address, bool linkLocal);

/// A proxy for requests of ours.
struct Proxy
{
    std::string host;
    std::uint16_t port = 0;
    std::string user; ///< empty: none
    std::string password;
};

/// Returns the proxy for requests to `host`, as the environment has it: `https_proxy` or `http_proxy`, and not where
/// `no_proxy` lists the host, a domain above it or `*`; names in lower case come first, except that HTTP_PROXY is not
/// read. Loopback has none.
/// Errors: std::runtime_error with the variable's name when it holds no URL of a proxy.
std::optional<Proxy> proxyFor(const std::string& scheme, const std::string& host);

} // namespace agent
