#include "agent/ctl/Repository.h"

#include <Poco/String.h>

#include <fstream>
#include <sstream>
#include <system_error>

namespace agent::ctl
{

namespace
{

namespace fs = std::filesystem;

std::string contentOf(const fs::path& file)
{
    std::ifstream in(file, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

/// Returns the folder that holds config and HEAD: `.git`, or what a worktree's file of that name says.
fs::path gitFolder(const fs::path& root)
{
    const fs::path git = root / ".git";
    std::error_code ignored;
    if (fs::is_directory(git, ignored))
        return git;
    const std::string text = contentOf(git);
    const std::string begins = "gitdir:";
    if (!text.starts_with(begins))
        return {};
    const fs::path named = Poco::trim(text.substr(begins.size()));
    return named.is_absolute() ? named : root / named;
}

/// Returns the folder of the configuration: of a worktree that of its repository.
fs::path commonFolder(const fs::path& git)
{
    const std::string common = Poco::trim(contentOf(git / "commondir"));
    if (common.empty())
        return git;
    return fs::path(common).is_absolute() ? fs::path(common) : git / common;
}

std::string originOf(const fs::path& git)
{
    std::istringstream lines(contentOf(commonFolder(git) / "config"));
    bool inOrigin = false;
    for (std::string line; std::getline(lines, line);)
    {
        line = Poco::trim(line);
        if (line.starts_with('['))
            inOrigin = line == "[remote \"origin\"]";
        const auto equals = line.find('=');
        if (inOrigin && equals != std::string::npos && Poco::trim(line.substr(0, equals)) == "url")
            return Poco::trim(line.substr(equals + 1));
    }
    return "";
}

/// Takes user and password out of a URL with a scheme; `git@host:path` stays.
bool dropCredentials(std::string& url)
{
    const auto scheme = url.find("://");
    if (!url.starts_with("http") || scheme == std::string::npos)
        return false;
    const auto host = scheme + 3;
    const auto sign = url.substr(0, url.find('/', host)).rfind('@');
    if (sign == std::string::npos || sign < host)
        return false;
    url.erase(host, sign + 1 - host);
    return true;
}

} // namespace

std::optional<Repository> repositoryAround(const fs::path& folder)
{
    std::error_code ignored;
    for (fs::path root = folder;; root = root.parent_path())
    {
        if (fs::exists(root / ".git", ignored))
        {
            const fs::path git = gitFolder(root);
            Repository found{
                .root = root, .url = originOf(git), .hadCredentials = false, .branch = ""};
            found.hadCredentials = dropCredentials(found.url);
            const std::string head = Poco::trim(contentOf(git / "HEAD"));
            const std::string begins = "ref: refs/heads/";
            if (head.starts_with(begins))
                found.branch = head.substr(begins.size());
            return found;
        }
        if (root == root.parent_path())
            return std::nullopt;
    }
}

} // namespace agent::ctl
