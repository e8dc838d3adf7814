#include "agent/model/RepositoryName.h"

#include <algorithm>
#include <cctype>

namespace agent
{

namespace
{

std::string lower(std::string text)
{
    for (char& c : text)
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

} // namespace

std::string repositoryName(std::string_view url)
{
    std::string host;
    std::string path;
    if (const auto scheme = url.find("://"); scheme != std::string_view::npos)
    {
        const std::string_view rest = url.substr(scheme + 3);
        const std::size_t slash = std::min(rest.find('/'), rest.size());
        host = rest.substr(0, slash);
        path = rest.substr(slash);
    }
    else if (const auto colon = url.find(':');
             colon != std::string_view::npos && url.find('/') > colon)
    {
        host = url.substr(0, colon); // user@host:path
        path = url.substr(colon + 1);
    }
    else
        path = url; // on this host
    host.erase(0, host.rfind('@') + 1);
    const std::size_t port = host.rfind(':');
    if (port != std::string::npos && host.find(']', port) == std::string::npos)
        host.resize(port); // that of ssh is another than that of https
    while (path.starts_with('/'))
        path.erase(0, 1);
    while (path.ends_with('/'))
        path.pop_back();
    if (path.ends_with(".git"))
        path.resize(path.size() - 4);
    return path.empty() ? "" : lower(host) + "/" + path;
}

std::string shownRepository(const std::string& repository)
{
    const auto scheme = repository.find("://");
    if (scheme == std::string::npos)
        return repository;
    const auto host = scheme + 3;
    const auto at = repository.substr(0, repository.find('/', host)).rfind('@');
    return at == std::string::npos || at < host
               ? repository
               : repository.substr(0, host) + "***" + repository.substr(at);
}

} // namespace agent
