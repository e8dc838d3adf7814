#include "agent/run/SecretKeys.h"

#include "agent/run/ConditionKeys.h"
#include "agent/run/InputRules.h"
#include "agent/run/PipelineReader.h"
#include "agent/run/SecretGrants.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace agent::secretKeys
{

namespace
{

constexpr std::size_t maxUser = 255;
constexpr std::size_t maxKnownHosts = 64UL * 1024;
constexpr const char* defaultUser = "git";

/// Names the host, without user and port, of `scheme://user@host:port/path`.
std::string_view hostOf(std::string_view url)
{
    url.remove_prefix(std::min(url.find("://") + 3, url.size()));
    url = url.substr(0, url.find('/'));
    url.remove_prefix(url.rfind('@') + 1); // npos + 1 is 0
    return url.substr(0, url.find(':'));
}

/// Of addresses, not of names such as 127.example.org.
bool isLoopback(const std::string& host)
{
    in_addr address{};
    return ::inet_pton(AF_INET, host.c_str(), &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

/// A token is not to be read on its way.
bool isHttps(const std::string& repository)
{
    const auto host = hostOf(repository);
    return repository.starts_with("https://") ||
           (repository.starts_with("http://") &&
            (host == "localhost" || isLoopback(std::string(host))));
}

bool isSsh(const std::string& repository)
{
    return repository.starts_with("ssh://") ||
           (!repository.starts_with('/') && repository.find("://") == std::string::npos);
}

bool holdsPassword(const std::string& repository)
{
    const auto scheme = repository.find("://");
    const auto slash = repository.find('/', scheme + 3);
    const auto at = repository.substr(0, slash).rfind('@');
    return at != std::string::npos && repository.find(':', scheme + 3) < at;
}

std::string userProblem(const std::string& user)
{
    const bool control = std::any_of(user.begin(), user.end(),
                                     [](unsigned char c) { return c < 0x20 || c == 0x7f; });
    return user.empty() || user.size() > maxUser || control
               ? "must be a name of 1 to " + std::to_string(maxUser) + " bytes"
               : "";
}

/// What is missing in the key as a whole.
std::string gitProblem(const GitCredential& git, const std::string& repository)
{
    if (git.none() || (!git.token.empty() && !git.sshKey.empty()))
        return "needs either token, for https, or ssh_key with known_hosts";
    if (repository.empty())
        return "needs the key repository: it says which host these credentials are for";
    if (!git.token.empty() && !isHttps(repository))
        return "a token is for an https repository: it would be sent in the clear to another";
    if (!git.token.empty() && holdsPassword(repository))
        return "the repository's URL has a password already, which git would take instead";
    if (!git.token.empty() && !git.knownHosts.empty())
        return "known_hosts goes with ssh_key";
    if (!git.sshKey.empty() && !isSsh(repository))
        return "an ssh_key is for an ssh repository such as git@host:path";
    if (!git.sshKey.empty() && git.knownHosts.empty())
        return "ssh_key needs known_hosts: the lines of `ssh-keyscan HOST`, compared with what the "
               "host's owner publishes";
    return "";
}

/// `type`: of the stage that names them; none: all do.
void readNames(const DocumentValue& value, bool checked, const PipelineSpec& spec,
               std::optional<StageType> type, std::vector<std::string>& names)
{
    for (const DocumentValue& item : value.list())
    {
        auto name = item.text().value_or("");
        if (checked && item.node().kind != DocumentNode::Kind::Null)
        {
            if (const std::string wrong = environmentProblem(name); !wrong.empty())
                item.problem(wrong);
            if (spec.env.contains(name))
                item.problem("is in env too");
            if (std::find(names.begin(), names.end(), name) != names.end())
                item.problem("is here twice");
            if (const auto wrong = type ? secretProblem(spec, name, *type) : ""; !wrong.empty())
                item.problem(wrong);
        }
        names.push_back(std::move(name));
    }
}

void readGrants(const DocumentValue& value, bool checked,
                std::map<std::string, SecretGrant>& grants)
{
    for (const DocumentValue& member : value.members())
    {
        if (const std::string wrong = environmentProblem(member.key()); checked && !wrong.empty())
            member.problem(wrong);
        SecretGrant& grant = grants[member.key()];
        const DocumentMap map(member, {"types", "branches"});
        if (const auto types = map.find("types"))
        {
            for (const DocumentValue& item : types->list())
                if (const auto type = PipelineReader::stageType(item))
                    grant.types.push_back(*type);
            if (checked && grant.types.empty())
                types->problem("must hold a type such as DEPLOY_PROD; leave it out for all");
        }
        if (const auto branches = map.find("branches"))
            grant.branches = patternsOf(*branches);
    }
}

void readGit(const DocumentValue& value, bool checked, PipelineSpec& spec)
{
    GitCredential& git = spec.git;
    const DocumentMap map(value, {"token", "user", "ssh_key", "known_hosts"});
    for (const auto& [key, into] : {std::pair{"token", &git.token}, {"ssh_key", &git.sshKey}})
        if (const auto name = map.find(key))
        {
            *into = name->text().value_or("");
            if (const std::string wrong = environmentProblem(*into); checked && !wrong.empty())
                name->problem(wrong);
        }
    if (const auto hosts = map.find("known_hosts"))
    {
        git.knownHosts = hosts->word().value_or("");
        if (git.knownHosts.size() > maxKnownHosts)
            hosts->problem("must not be longer than " + std::to_string(maxKnownHosts) + " bytes");
    }
    if (const auto user = map.find("user"))
    {
        git.user = user->text().value_or("");
        if (const std::string wrong = userProblem(git.user); checked && !wrong.empty())
            user->problem(wrong);
        if (checked && git.token.empty())
            user->problem("goes with token; the user of ssh stands in the repository's address");
    }
    else if (!git.token.empty())
        git.user = defaultUser;
    if (const std::string wrong = gitProblem(git, spec.repository); checked && !wrong.empty())
        value.problem(wrong);
}

} // namespace

void read(const DocumentMap& map, bool checked, PipelineSpec& spec)
{
    if (const auto value = map.find("secrets"))
        readNames(*value, checked, spec, std::nullopt, spec.secrets);
    if (const auto value = map.find("grants"))
        readGrants(*value, checked, spec.grants);
    if (const auto value = map.find("git"))
        readGit(*value, checked, spec);
}

void readOfStage(const DocumentValue& value, bool checked, const PipelineSpec& spec,
                 StageSpec& stage)
{
    readNames(value, checked, spec, stage.type, stage.secrets);
}

void readPullRequest(const DocumentMap& map, PipelineSpec& spec)
{
    if (const auto value = map.find(secretless))
        spec.secretless = value->boolean().value_or(true);
    if (const auto value = map.find(fork))
    {
        spec.fork.emplace();
        if (const auto base = DocumentMap(*value, {"base"}).find("base"))
            spec.fork->base = base->text().value_or("");
    }
}

} // namespace agent::secretKeys
