#include "agent/intake/RemoteRefs.h"

#include "agent/program/Program.h"

#include <cstdlib>
#include <sstream>
#include <stdexcept>
#include <system_error>

namespace agent
{

namespace
{

constexpr std::chrono::seconds patience{30};
constexpr std::size_t mostMemory = 256UL << 20;
constexpr std::size_t mostAnswer = 16UL << 20;
constexpr std::size_t mostRefs = 50'000;
constexpr std::size_t longestRef = 1024;

std::string variable(const char* name)
{
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

/// As the git plugin has it: no prompt, no protocol that executes what the address says, and the operator's settings only.
std::vector<std::string> environment(const std::filesystem::path& config)
{
    std::vector<std::string> all{
        "LANG=C.UTF-8", "GIT_TERMINAL_PROMPT=0", "GIT_PROTOCOL_FROM_USER=0",
        "GIT_ALLOW_PROTOCOL=file:git:http:https:ssh",
        "GIT_CONFIG_GLOBAL=" + (config.empty() ? "/dev/null" : config.string())};
    // The operator's file may have core.sshCommand, which the variable would override.
    if (config.empty())
        all.emplace_back("GIT_SSH_COMMAND=ssh -oBatchMode=yes -oConnectTimeout=20");
    for (const char* name : {"PATH", "HOME", "http_proxy", "https_proxy", "no_proxy"})
        if (const std::string value = variable(name); !value.empty())
            all.push_back(std::string(name).append("=").append(value));
    return all;
}

bool isCommit(const std::string& text)
{
    return (text.size() == 40 || text.size() == 64) &&
           text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

} // namespace

RemoteRefs refsFrom(const std::string& text)
{
    const std::string peeled = "^{}";
    RemoteRefs refs;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);)
    {
        const std::size_t tab = line.find('\t');
        std::string name = tab == std::string::npos ? "" : line.substr(tab + 1);
        const std::string commit = line.substr(0, std::min(tab, line.size()));
        if (!isCommit(commit) || name.size() > longestRef ||
            (!name.starts_with("refs/heads/") && !name.starts_with("refs/tags/")))
            continue;
        if (name.ends_with(peeled)) // behind the tag's own line
            name.resize(name.size() - peeled.size());
        refs[name] = commit;
    }
    return refs;
}

RemoteRefs remoteRefs(const std::string& url, const RemoteLookup& lookup)
try
{
    const auto git = findProgram("git", variable("PATH"));
    if (git.empty())
        throw std::runtime_error("git is not found");
    // In /: what stands in a repository of the daemon's working folder says nothing to git.
    const ProgramEnd end = runProgram(
        {.argv = {git.string(), "-C", "/", "-c", "core.fsmonitor=false", "-c",
                  "protocol.ext.allow=never", "ls-remote", "--heads", "--tags", "--", url},
         .timeout = patience,
         .mostBytes = mostAnswer,
         .endWhenFull = true,
         .mostMemory = mostMemory,
         .stop = lookup.stop,
         .environment = environment(lookup.gitConfig)});
    if (!end.passed())
        throw std::runtime_error(end.describe());
    RemoteRefs refs = refsFrom(end.out);
    if (refs.size() > mostRefs)
        throw std::runtime_error("it has more than 50,000 branches and tags");
    return refs;
}
catch (const std::system_error& error)
{
    throw std::runtime_error(error.what());
}

} // namespace agent
