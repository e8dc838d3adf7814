#pragma once

#include <map>
#include <string>

namespace agent::test
{

/// The admin tokens of this program's daemons, by their URLs: what its clients send where a test says nothing
/// else.
inline std::map<std::string, std::string>& adminTokens()
{
    static std::map<std::string, std::string> tokens;
    return tokens;
}

/// The token of the daemon that was started last; empty before the first one.
inline std::string& newestToken()
{
    static std::string token;
    return token;
}

/// Returns the header line for requests to the daemon at `url`; empty when it has no token.
inline std::string authorizationFor(const std::string& url)
{
    const auto found = adminTokens().find(url);
    return found == adminTokens().end() ? "" : "Authorization: Bearer " + found->second + "\r\n";
}

} // namespace agent::test
