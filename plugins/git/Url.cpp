#include "plugins/git/Url.h"

#include <algorithm>
#include <cctype>
#include <map>

namespace agent::git
{

namespace
{

/// Where the parts of an address begin: `scheme://user@host:port/path` or `user@host:path`; for a path on this host
/// all is path.
struct Parts
{
    std::string scheme; ///< empty: no URL
    std::string user;   ///< with its password and the @; may be empty
    std::string host;   ///< with the port
    std::string path;   ///< with the slash, or what follows `host:`
};

Parts partsOf(const std::string& repository)
{
    Parts parts;
    std::string authority;
    if (const auto begin = repository.find("://"); begin != std::string::npos)
    {
        const auto slash = std::min(repository.find('/', begin + 3), repository.size());
        parts.scheme = repository.substr(0, begin);
        authority = repository.substr(begin + 3, slash - begin - 3);
        parts.path = repository.substr(slash);
    }
    else if (!repository.starts_with('/'))
    {
        const auto colon = std::min(repository.find(':'), repository.size());
        authority = repository.substr(0, colon);
        parts.path = repository.substr(std::min(colon + 1, repository.size()));
    }
    else
        parts.path = repository;
    const auto at = authority.rfind('@');
    parts.user = at == std::string::npos ? "" : authority.substr(0, at + 1);
    parts.host = authority.substr(parts.user.size());
    return parts;
}

std::string joined(const Parts& parts)
{
    if (!parts.scheme.empty())
        return parts.scheme + "://" + parts.user + parts.host + parts.path;
    return parts.host.empty() ? parts.path : parts.user + parts.host + ":" + parts.path;
}

bool isHttp(const Parts& parts)
{
    return parts.scheme == "http" || parts.scheme == "https";
}

void makeLower(std::string& text)
{
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
}

void dropFinalSlashes(std::string& path)
{
    while (path.size() > 1 && path.ends_with('/'))
        path.pop_back();
}

/// In lower case, and without the port that the protocol has anyway.
void normalizeHost(Parts& parts)
{
    static const std::map<std::string, std::string> ports{
        {"http", ":80"}, {"https", ":443"}, {"ssh", ":22"}, {"git", ":9418"}};
    makeLower(parts.scheme);
    makeLower(parts.host);
    if (const auto port = ports.find(parts.scheme);
        port != ports.end() && parts.host.ends_with(port->second))
        parts.host.resize(parts.host.size() - port->second.size());
}

} // namespace

bool isLocal(std::string_view repository)
{
    return repository.starts_with('/') || repository.starts_with("file://");
}

std::string withoutPassword(const std::string& repository)
{
    Parts parts = partsOf(repository);
    if (parts.scheme.empty() || parts.user.empty())
        return repository;
    // https://TOKEN@host is a password too; for ssh, a user alone is part of the address.
    if (const auto colon = parts.user.find(':'); colon != std::string::npos)
        parts.user = parts.user.substr(0, colon) + "@";
    else if (isHttp(parts))
        parts.user.clear();
    return joined(parts);
}

std::string mirrorName(const std::string& repository)
{
    Parts parts = partsOf(withoutPassword(repository));
    normalizeHost(parts);
    if (isHttp(parts))
        parts.user.clear();
    dropFinalSlashes(parts.path);
    if (parts.scheme == "file")
        return parts.path.find('%') == std::string::npos ? parts.path : joined(parts);
    return joined(parts);
}

std::string hostPlace(const std::string& repository)
{
    if (isLocal(repository))
        return "";
    Parts parts = partsOf(repository);
    if (parts.scheme.empty())
        parts.scheme = "ssh";
    normalizeHost(parts);
    return parts.scheme + "://" + parts.host;
}

std::string submoduleUrl(const std::string& parent, const std::string& url)
{
    if (!url.starts_with("./") && !url.starts_with("../"))
        return url;
    Parts parts = partsOf(parent);
    dropFinalSlashes(parts.path);
    std::string_view rest = url;
    while (rest.starts_with("./") || rest.starts_with("../"))
    {
        if (rest.starts_with("../"))
        {
            if (parts.path.empty() || parts.path == "/")
                return "";
            const auto slash = parts.path.rfind('/');
            parts.path.resize(slash == std::string::npos ? 0 : slash);
        }
        rest.remove_prefix(rest.find('/') + 1);
    }
    if (!parts.path.empty() || parts.host.empty() || !parts.scheme.empty())
        parts.path += '/';
    parts.path += rest;
    dropFinalSlashes(parts.path);
    return joined(parts);
}

std::string fileUrl(const std::string& path)
{
    std::string url = "file://";
    for (const char c : path)
        url += c == '%' ? std::string("%25") : std::string(1, c);
    return url;
}

} // namespace agent::git
