#include "plugins/git/Git.h"

#include "plugins/git/Url.h"

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
    return isHexOf(ref, 40, 40) || isHexOf(ref, 64, 64);
}

bool isShortCommit(std::string_view ref)
{
    return isHexOf(ref, 4, 63);
}

std::string printable(std::string text)
{
    std::replace_if(text.begin(), text.end(), isControl, '?');
    return text;
}

std::map<std::string, std::string> environment(const std::string& repository, bool submodules,
                                               const std::string& config)
{
    std::map<std::string, std::string> env{
        {"LANG", "C.UTF-8"},
        {"GIT_CONFIG_GLOBAL", config},
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

std::map<std::string, std::string> checkoutEnvironment(const std::string& folder)
{
    auto env = environment("", false);
    env["GIT_CONFIG_NOSYSTEM"] = "1";
    env["GIT_ALLOW_PROTOCOL"] = "file"; // all that is needed comes from mirrors
    env["GIT_LITERAL_PATHSPECS"] = "1"; // a submodule's path is no pattern
    // No repository above is taken for one that is missing.
    env["GIT_CEILING_DIRECTORIES"] = folder.substr(0, folder.rfind('/'));
    return env;
}

namespace command
{

Arguments line(const Arguments& more)
{
    Arguments argv{"git"};
    for (const char* setting :
         {"core.hooksPath=/dev/null", "core.fsmonitor=false", "protocol.ext.allow=never",
          "protocol.fd.allow=never", "submodule.recurse=false", "fetch.recurseSubmodules=false",
          "init.defaultBranch=main", "advice.detachedHead=false", "color.ui=false",
          "core.attributesFile=/dev/null", "core.excludesFile=/dev/null",
          "core.sparseCheckout=false", "log.showSignature=false",
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

Arguments initMirror(const std::string& mirror, const std::string& format)
{
    return line({"-C", "/", "init", "--quiet", "--bare", "--template=", "--object-format=" + format,
                 "--end-of-options", mirror});
}

Arguments readHead(const std::string& anyRepository, const std::string& repository)
{
    return line({"--git-dir=" + anyRepository, "ls-remote", "--symref", "--end-of-options",
                 repository, "HEAD"});
}

Arguments resolve(const std::string& mirror, const std::string& name)
{
    return line(
        {"--git-dir=" + mirror, "rev-parse", "--verify", "--end-of-options", name + "^{commit}"});
}

Arguments isAncestor(const std::string& mirror, const std::string& commit,
                     const std::string& branch)
{
    return line({"--git-dir=" + mirror, "merge-base", "--is-ancestor", commit, branch});
}

Arguments clone(const std::string& mirror, const std::string& workspace, Copying copying)
{
    // Over git's protocol each object arrives under the hash of what it is, so a mirror that someone wrote to shows as
    // one in which objects are missing. Copied, the objects are what the mirror says. No hard links: a stage that
    // modifies its .git would modify the mirror, and so the sources of later runs.
    Arguments argv{"-C",
                   "/",
                   "clone",
                   "--quiet",
                   "--no-checkout",
                   "--template=",
                   "--origin=origin",
                   "--no-single-branch",
                   "--no-reject-shallow",
                   "--no-hardlinks",
                   copying == Copying::Unread ? "--local" : "--no-local"};
    if (copying == Copying::WithoutFiles)
    {
        argv.insert(argv.end(), {"--filter=blob:none", "--upload-pack=git-upload-pack"});
        // As in Fetch.cpp: what it misses, a clone of a shallow mirror would fetch without end.
        argv.insert(argv.begin(), {"-c", "remote.origin.uploadpack=false"});
    }
    argv = line(argv);
    for (const auto& more : {std::string("--end-of-options"), mirror, workspace})
        argv.push_back(more);
    return argv;
}

Arguments initWorkspace(const std::string& workspace, const std::string& format)
{
    return line({"-C", "/", "init", "--quiet", "--template=", "--object-format=" + format,
                 "--end-of-options", workspace});
}

Arguments addOrigin(const std::string& workspace, const std::string& repository)
{
    return line({"-C", workspace, "remote", "add", "--end-of-options", "origin",
                 withoutPassword(repository)});
}

Arguments forgetOrigin(const std::string& workspace)
{
    return line({"-C", workspace, "config", "--remove-section", "remote.origin"});
}

Arguments setOrigin(const std::string& workspace, const std::string& repository)
{
    return line({"-C", workspace, "remote", "set-url", "--end-of-options", "origin",
                 withoutPassword(repository)});
}

Arguments configureOrigin(const std::string& workspace, const std::string& name,
                          const std::string& value)
{
    return line({"-C", workspace, "config", "remote.origin." + name, value});
}

Arguments checkOut(const std::string& workspace, const std::string& commit)
{
    return line({"-C", workspace, "checkout", "--quiet", "--force", "--detach", commit, "--"});
}

Arguments readTree(const std::string& workspace, const std::string& commit)
{
    return line({"-C", workspace, "read-tree", commit});
}

Arguments listFiles(const std::string& workspace, const std::string& commit)
{
    return line({"-C", workspace, "ls-tree", "-r", "-l", "-z", "--full-tree", commit});
}

Arguments listFiltered(const std::string& workspace)
{
    return line({"-C", workspace, "--no-literal-pathspecs", "ls-files", "-z", "--", ".",
                 ":(exclude,attr:!filter !ident !working-tree-encoding)"});
}

Arguments listWithCrlf(const std::string& workspace)
{
    return line(
        {"-C", workspace, "--no-literal-pathspecs", "ls-files", "-z", "--", ":(attr:eol=crlf)"});
}

Arguments refreshIndex(const std::string& workspace)
{
    return line({"-C", workspace, "update-index", "-q", "--refresh"});
}

Arguments listUntracked(const std::string& workspace)
{
    return line(
        {"-C", workspace, "ls-files", "-z", "--others", "--exclude-standard", "--directory"});
}

Arguments removeUntracked(const std::string& workspace)
{
    return line({"-C", workspace, "clean", "-ffd", "--quiet"});
}

Arguments initSubmodule(const std::string& folder, const std::string& path)
{
    return line({"-C", folder, "submodule", "--quiet", "init", "--", path});
}

Arguments checkOutSubmodule(const std::string& folder, const std::string& path)
{
    return line(
        {"-C", folder, "submodule", "--quiet", "update", "--checkout", "--force", "--", path});
}

Arguments listFilesOfLfs(const std::string& folder)
{
    return line(
        {"-C", folder, "--no-literal-pathspecs", "ls-files", "-z", "--", ":(attr:filter=lfs)"});
}

Arguments listSubmoduleSettings(const std::string& mirror, const std::string& commit)
{
    return line({"--git-dir=" + mirror, "config", "-z", "--blob", commit + ":.gitmodules",
                 "--get-regexp", R"(^submodule\..*\.(path|url|update)$)"});
}

Arguments listLinks(const std::string& mirror, const std::string& commit,
                    const std::vector<std::string>& paths)
{
    Arguments argv = line({"--git-dir=" + mirror, "ls-tree", "-z", "--full-tree", commit, "--"});
    argv.insert(argv.end(), paths.begin(), paths.end());
    return argv;
}

Arguments sizeOfFile(const std::string& mirror, const std::string& id)
{
    return line({"--git-dir=" + mirror, "cat-file", "-s", id});
}

Arguments printFile(const std::string& mirror, const std::string& id)
{
    return line({"--git-dir=" + mirror, "cat-file", "blob", id});
}

Arguments describe(const std::string& mirror, const std::string& commit)
{
    return line({"--git-dir=" + mirror, "log", "-1", "--no-color", "--no-show-signature",
                 "--no-mailmap", "--encoding=UTF-8", "--format=%cn <%ce>%x00%B", commit, "--"});
}

Arguments recentCommits(const std::string& mirror, const std::string& commit, int most)
{
    return line({"--git-dir=" + mirror, "log", "-" + std::to_string(most), "--no-color",
                 "--no-show-signature", "--no-mailmap", "--encoding=UTF-8", "--format=%H %s",
                 commit, "--"});
}

Arguments readSshCommand()
{
    return line({"-C", "/", "config", "--get", "core.sshCommand"});
}

Arguments readCheckoutSettings()
{
    return {"git",
            "-C",
            "/",
            "config",
            "-z",
            "--get-regexp",
            R"(^(filter\..*\.(clean|smudge|process|required)|core\.(autocrlf|eol|safecrlf))$)"};
}

} // namespace command

} // namespace agent::git
