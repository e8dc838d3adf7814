#include "agent/ctl/LocalToken.h"

#include "agent/os/RegularFile.h"

#include <Poco/Exception.h>
#include <Poco/String.h>
#include <Poco/URI.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

namespace agent::ctl
{

namespace
{

namespace fs = std::filesystem;

std::vector<fs::path> defaultFolders()
{
    std::vector<fs::path> folders{"/var/lib/stage-agent"};
    if (const char* state = std::getenv("XDG_STATE_HOME"); state && *state == '/')
        folders.push_back(fs::path(state) / "stage-agent");
    if (const char* home = std::getenv("HOME"); home && *home == '/')
        folders.push_back(fs::path(home) / ".local/state/stage-agent");
    return folders;
}

/// The word in the file; empty when it can't be read.
std::string wordIn(const fs::path& file)
try
{
    constexpr std::size_t mostBytes = 4096;
    return Poco::trim(readRegularFile(file, mostBytes).value_or(""));
}
catch (const std::system_error&)
{
    return "";
}

bool isLoopback(const std::string& host)
{
    return host == "localhost" || host == "::1" || host.starts_with("127.");
}

/// Whether both name the same port of this host.
bool sameAgent(const std::string& one, const std::string& other)
try
{
    const Poco::URI first(one);
    const Poco::URI second(other);
    return first.getScheme() == second.getScheme() && first.getPort() == second.getPort() &&
           (first.getHost() == second.getHost() ||
            (isLoopback(first.getHost()) && isLoopback(second.getHost())));
}
catch (const Poco::Exception&)
{
    return false;
}

/// Whether this user runs the agent, and is not root, of whom the kernel says enough.
bool isOwn(const fs::path& file)
{
    struct stat info = {};
    return ::geteuid() != 0 && ::stat(file.c_str(), &info) == 0 && info.st_uid == ::geteuid();
}

} // namespace

std::optional<LocalToken> localToken(const std::string& url)
{
    const std::string socketScheme = "unix:";
    for (const fs::path& folder : defaultFolders())
    {
        const fs::path file = folder / "admin.token";
        const bool here =
            url.starts_with(socketScheme)
                ? fs::path("/" + url.substr(socketScheme.size())).lexically_normal() ==
                          (folder / "api.sock").lexically_normal() &&
                      isOwn(file)
                : sameAgent(url, wordIn(folder / "address"));
        if (std::string token = here ? wordIn(file) : ""; !token.empty())
            return LocalToken{std::move(token), file.string()};
    }
    return std::nullopt;
}

} // namespace agent::ctl
