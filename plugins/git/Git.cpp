#include "plugins/git/Git.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>

namespace agent::git
{

namespace
{

constexpr std::array<std::string_view, 5> schemes{"https", "http", "ssh", "git", "file"};
constexpr std::size_t maxRepositoryBytes = 4096; // PATH_MAX
constexpr std::size_t maxRefBytes = 1024;

bool isControl(unsigned char c)
{
    return c < 0x20 || c == 0x7f;
}

bool holdsControl(std::string_view text)
{
    return std::any_of(text.begin(), text.end(), isControl);
}

bool holdsEncodedControl(std::string_view url)
{
    const auto isHex = [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; };
    for (std::size_t i = 0; i + 2 < url.size(); ++i)
        if (url[i] == '%' && isHex(url[i + 1]) && isHex(url[i + 2]))
        {
            const int byte = std::stoi(std::string(url.substr(i + 1, 2)), nullptr, 16);
            if (isControl(static_cast<unsigned char>(byte)))
                return true;
        }
    return false;
}

/// Returns the host of `user:password@host:port`, or of `user@host`.
std::string_view hostOf(std::string_view authority)
{
    const auto at = authority.rfind('@');
    return at == std::string_view::npos ? authority : authority.substr(at + 1);
}

std::string refuseAuthority(std::string_view authority)
{
    const std::string_view host = hostOf(authority);
    if (host.empty())
        return "has no host";
    // ssh gets host and user as an argument; git decodes %2d before it passes them on.
    if (authority.front() == '-' || host.front() == '-' || host.find('%') != host.npos)
        return "has a host that looks like an option";
    return "";
}

std::string refuseUrl(std::string_view scheme, std::string_view rest)
{
    if (std::find(schemes.begin(), schemes.end(), scheme) == schemes.end())
        return "has a protocol that is not allowed: " + std::string(scheme) +
               " (https, http, ssh, git and file are)";
    if (holdsEncodedControl(rest))
        return "holds an encoded control character";
    const auto slash = rest.find('/');
    if (scheme == "file")
        return slash == 0 ? "" : "is a file URL without an absolute path";
    return refuseAuthority(rest.substr(0, slash));
}

std::string refuseRefPart(std::string_view part)
{
    if (part.empty())
        return "has an empty part";
    if (part.front() == '.' || part.ends_with(".lock"))
        return "has a part that begins with '.' or ends with '.lock'";
    return "";
}

/// Returns the beginning of every command. The operator's ~/.gitconfig (proxy, credential helper, certificates)
/// applies, but neither it nor a repository can make git run a hook or a monitor.
Arguments git(std::initializer_list<std::string_view> more)
{
    Arguments argv{"git"};
    for (const char* setting :
         {"core.hooksPath=/dev/null", "core.fsmonitor=false", "protocol.ext.allow=never",
          "protocol.fd.allow=never", "submodule.recurse=false", "fetch.recurseSubmodules=false",
          "init.defaultBranch=main", "advice.detachedHead=false",
          // Background maintenance would outlive the lock of the mirror.
          "gc.autoDetach=false", "maintenance.autoDetach=false",
          // A server that sends nothing for a minute is considered dead.
          "http.lowSpeedLimit=1", "http.lowSpeedTime=60"})
    {
        argv.emplace_back("-c");
        argv.emplace_back(setting);
    }
    argv.insert(argv.end(), more.begin(), more.end());
    return argv;
}

Arguments fetchOne(const std::string& mirror, const std::string& repository,
                   const std::string& refspec)
{
    return git({"--git-dir=" + mirror, "fetch", "--progress", "--no-tags", "--no-write-fetch-head",
                "--end-of-options", repository, refspec});
}

bool isHexOf(std::string_view text, std::size_t least, std::size_t most)
{
    return text.size() >= least && text.size() <= most &&
           std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isxdigit(c); });
}

} // namespace

std::string refuseRepository(std::string_view repository)
{
    if (repository.empty())
        return "is empty";
    if (repository.size() > maxRepositoryBytes)
        return "is too long";
    if (holdsControl(repository))
        return "holds a control character";
    if (repository.front() == '-')
        return "looks like an option";
    if (repository.front() == '/')
        return "";

    const auto colon = repository.find(':');
    const auto slash = repository.find('/');
    if (colon == repository.npos || slash < colon)
        return "is neither a URL nor an absolute path";
    const std::string_view rest = repository.substr(colon + 1);
    if (rest.starts_with(':'))
        return "has a protocol that is not allowed: " + std::string(repository.substr(0, colon)) +
               "::";
    if (rest.starts_with("//"))
        return refuseUrl(repository.substr(0, colon), rest.substr(2));
    if (rest.empty() || rest.front() == '-')
        return "has a path that looks like an option";
    return refuseAuthority(repository.substr(0, colon));
}

std::string refuseRef(std::string_view ref)
{
    if (ref.empty())
        return "";
    if (ref.size() > maxRefBytes)
        return "is too long";
    if (holdsControl(ref))
        return "holds a control character";
    if (ref.front() == '-')
        return "looks like an option";
    if (ref.find_first_of(" ~^:?*[\\") != ref.npos || ref.find("..") != ref.npos ||
        ref.find("@{") != ref.npos || ref == "@" || ref.back() == '.')
        return "is not a valid name of a branch, tag or commit";
    for (std::size_t begin = 0; begin <= ref.size();)
    {
        const auto end = std::min(ref.find('/', begin), ref.size());
        if (std::string why = refuseRefPart(ref.substr(begin, end - begin)); !why.empty())
            return why;
        begin = end + 1;
    }
    return "";
}

bool isCommit(std::string_view ref)
{
    return isHexOf(ref, 40, 40);
}

bool isShortCommit(std::string_view ref)
{
    return isHexOf(ref, 4, 39);
}

bool isLocal(std::string_view repository)
{
    return repository.starts_with('/') || repository.starts_with("file://");
}

std::string withoutPassword(const std::string& repository)
{
    const auto begin = repository.find("://");
    if (begin == std::string::npos)
        return repository;
    const auto authority = begin + 3;
    const auto end = std::min(repository.find('/', authority), repository.size());
    const auto at = repository.rfind('@', end);
    if (at == std::string::npos || at < authority || at >= end)
        return repository;
    const auto colon = repository.find(':', authority);
    // https://TOKEN@host is a password too; for ssh, a user alone is part of the address.
    if (colon < at)
        return repository.substr(0, colon) + repository.substr(at);
    return repository.starts_with("http")
               ? repository.substr(0, authority) + repository.substr(at + 1)
               : repository;
}

std::string printable(std::string text)
{
    std::replace_if(text.begin(), text.end(), isControl, '?');
    return text;
}

std::map<std::string, std::string> environment(const std::string& repository, bool submodules)
{
    std::map<std::string, std::string> env{
        {"LANG", "C.UTF-8"},
        {"GIT_TERMINAL_PROMPT", "0"},
        {"GIT_PROTOCOL_FROM_USER", "0"},
        // A remote repository's .gitmodules must not read other repositories of this host.
        {"GIT_ALLOW_PROTOCOL",
         submodules && !isLocal(repository) ? "git:http:https:ssh" : "file:git:http:https:ssh"}};
    for (const char* name : {"PATH", "HOME"})
        if (const char* value = std::getenv(name))
            env[name] = value;
    return env;
}

namespace command
{

Arguments initMirror(const std::string& mirror)
{
    return git({"-C", "/", "init", "--quiet", "--bare", "--template=", "--end-of-options", mirror});
}

Arguments fetchAll(const std::string& mirror, const std::string& repository)
{
    return git({"--git-dir=" + mirror, "fetch", "--progress", "--no-tags", "--prune",
                "--no-write-fetch-head", "--end-of-options", repository,
                "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"});
}

Arguments fetchRef(const std::string& mirror, const std::string& repository,
                   const std::string& fullRef)
{
    return fetchOne(mirror, repository, "+" + fullRef + ":" + fullRef);
}

Arguments fetchCommit(const std::string& mirror, const std::string& repository,
                      const std::string& commit)
{
    // Without a ref a later gc could drop the commit while a run still needs it.
    return fetchOne(mirror, repository, "+" + commit + ":refs/stage-agent/" + commit);
}

Arguments readHead(const std::string& anyRepository, const std::string& repository)
{
    return git({"--git-dir=" + anyRepository, "ls-remote", "--symref", "--end-of-options",
                repository, "HEAD"});
}

Arguments resolve(const std::string& mirror, const std::string& name)
{
    return git(
        {"--git-dir=" + mirror, "rev-parse", "--verify", "--end-of-options", name + "^{commit}"});
}

Arguments verifyMirror(const std::string& mirror)
{
    return git({"--git-dir=" + mirror, "fsck", "--no-dangling", "--no-progress"});
}

Arguments cloneMirror(const std::string& mirror, const std::string& workspace)
{
    // No hard links: a stage that modifies its .git would modify the mirror, and so the sources of later
    // runs.
    return git({"-C", "/", "clone", "--quiet", "--local", "--no-hardlinks", "--no-checkout",
                "--template=", "--end-of-options", mirror, workspace});
}

Arguments setOrigin(const std::string& workspace, const std::string& repository)
{
    return git({"-C", workspace, "remote", "set-url", "--end-of-options", "origin",
                withoutPassword(repository)});
}

Arguments checkOut(const std::string& workspace, const std::string& commit)
{
    return git({"-C", workspace, "checkout", "--quiet", "--force", "--detach", commit, "--"});
}

Arguments checkOutSubmodules(const std::string& workspace)
{
    return git({"-C", workspace, "submodule", "--quiet", "update", "--init", "--recursive"});
}

Arguments describe(const std::string& workspace, const std::string& commit)
{
    return git({"-C", workspace, "log", "-1", "--no-color", "--no-show-signature", "--no-mailmap",
                "--encoding=UTF-8", "--format=%cn <%ce>%x00%B", commit, "--"});
}

Arguments readSshCommand()
{
    return git({"-C", "/", "config", "--get", "core.sshCommand"});
}

} // namespace command

} // namespace agent::git
