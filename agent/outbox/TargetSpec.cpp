#include "agent/outbox/TargetSpec.h"

#include "agent/document/DocumentValue.h"
#include "agent/model/Token.h"
#include "agent/os/SecretFile.h"
#include "agent/outbox/CommitStatus.h"

#include <Poco/Base64Decoder.h>
#include <Poco/Exception.h>
#include <Poco/StreamCopier.h>
#include <Poco/String.h>
#include <Poco/URI.h>

#include <algorithm>
#include <sstream>
#include <stdexcept>

namespace agent
{

namespace
{

namespace fs = std::filesystem;

constexpr std::size_t longestUrl = 2048;

/// Why this can't be the address of a target; empty when it can.
std::string urlProblem(const std::string& text)
try
{
    if (text.size() > longestUrl)
        return "must not be longer than " + std::to_string(longestUrl) + " bytes";
    for (const char c : text)
        if (static_cast<unsigned char>(c) <= ' ' || static_cast<unsigned char>(c) > '~')
            return "must not hold blanks or other characters than those of ASCII";
    const Poco::URI uri(text);
    if ((uri.getScheme() != "http" && uri.getScheme() != "https") || uri.getHost().empty())
        return "must be a URL such as https://ci.example.org/reports";
    if (!uri.getUserInfo().empty())
        return "must not hold a user or password: every operator can read it; use `token`";
    return uri.getFragment().empty() ? "" : "must not have a fragment (#…)";
}
catch (const Poco::Exception&)
{
    return "must be a URL such as https://ci.example.org/reports";
}

std::string targetNameProblem(const std::string& name)
{
    const auto fits = [](unsigned char c)
    { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; };
    return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), fits)
               ? ""
               : "must be 1 to 64 letters, digits, '.', '_' or '-'";
}

/// The bytes of a signing secret. Source: Standard Webhooks, "Symmetric: whsec_ and base64".
std::string signingKey(const std::string& text)
{
    const std::string prefix = "whsec_";
    constexpr const char* expected = "holds no signing secret: expected whsec_ and the base64 of "
                                     "24 to 64 bytes, as `echo whsec_$(openssl rand -base64 32)` "
                                     "makes it";
    if (!text.starts_with(prefix))
        throw std::runtime_error(expected);
    std::istringstream encoded(text.substr(prefix.size()));
    std::string key;
    try
    {
        Poco::Base64Decoder decoder(encoded);
        Poco::StreamCopier::copyToString(decoder, key);
    }
    catch (const Poco::Exception&)
    {
        key.clear();
    }
    if (key.size() < 24 || key.size() > 64)
        throw std::runtime_error(expected);
    return key;
}

/// The content of the file of secrets.dir that a key names.
std::string secretOf(const DocumentValue& value, const fs::path& folder)
{
    const auto name = value.word();
    if (!name)
        return "";
    if (name->find('/') != std::string::npos || name->starts_with('.'))
    {
        value.problem("must be the name of a file in secrets.dir");
        return "";
    }
    try
    {
        return readSecretFile(folder / *name);
    }
    catch (const std::runtime_error& error)
    {
        value.problem(error.what());
        return "";
    }
}

void readSecretKeys(const DocumentMap& map, const fs::path& secrets, TargetSpec& target)
{
    if (const auto secret = map.find("secret"))
        if (const std::string text = secretOf(*secret, secrets); !text.empty())
        {
            try
            {
                target.secret = signingKey(text);
            }
            catch (const std::runtime_error& error)
            {
                secret->problem(error.what());
            }
        }
    if (const auto token = map.find("token"))
    {
        target.token = secretOf(*token, secrets);
        const auto sendable = [](unsigned char c) { return c > ' ' && c <= '~'; };
        if (!std::all_of(target.token.begin(), target.token.end(), sendable))
            token->problem("holds no token: a blank, or a character that no header may have");
    }
}

/// What only forges have, and what they do without.
void readForgeKeys(const DocumentMap& map, TargetSpec& target)
{
    const bool forge = isForge(target.type);
    for (const char* key : {"events", "secret"})
        if (const auto found = map.find(key); found && target.type != "webhook")
            found->problem("is for webhooks");
    for (const char* key : {"context", "hosts"})
        if (const auto found = map.find(key); found && !forge)
            found->problem("is for commit statuses: types github, gitlab, gitea");
    if (!forge)
        return;
    (void)map.require("token");
    if (const auto url = map.find("url"); url && target.url.find('?') != std::string::npos)
        url->problem("must be that of the forge's API, such as https://api.github.com, "
                     "https://gitlab.com/api/v4 or https://codeberg.org/api/v1");
    if (const auto context = map.find("context"))
    {
        const std::string text = context->text().value_or("");
        target.perStage = text == "stage";
        if (text != "stage" && text != "service")
            context->expected("service or stage");
    }
    if (const auto hosts = map.find("hosts"))
        for (const DocumentValue& item : hosts->list())
            target.hosts.push_back(Poco::toLower(item.word().value_or("")));
}

void readKeys(const DocumentValue& root, const fs::path& secrets, TargetSpec& target)
{
    const DocumentMap map(root,
                          {"name", "type", "url", "secret", "token", "services", "events",
                           "log_bytes", "context", "hosts", "allow_link_local"},
                          DocumentMap::Others::Prefixed);
    if (const auto name = map.require("name"))
    {
        target.name = name->text().value_or("");
        if (const auto wrong = targetNameProblem(target.name); !wrong.empty())
            name->problem(wrong);
    }
    if (const auto type = map.require("type"))
    {
        target.type = type->text().value_or("");
        if (target.type != "webhook" && target.type != "seamless" && !isForge(target.type))
            type->expected("webhook, github, gitlab, gitea or seamless");
    }
    if (const auto url = map.require("url"))
    {
        target.url = url->text().value_or("");
        if (const auto wrong = urlProblem(target.url); !wrong.empty())
            url->problem(wrong);
    }
    readSecretKeys(map, secrets, target);
    if (const auto services = map.find("services"))
        for (const DocumentValue& item : services->list())
        {
            target.services.push_back(item.word().value_or(""));
            if (const auto wrong = problemOfPattern(target.services.back()); !wrong.empty())
                item.problem(wrong);
        }
    if (const auto events = map.find("events"))
        for (const DocumentValue& item : events->list())
        {
            target.events.push_back(item.word().value_or(""));
            const auto& event = target.events.back();
            if (event != reportEvents::runChanged && event != reportEvents::runEnded &&
                event != reportEvents::stageChanged)
                item.expected("run.changed, run.ended or stage.changed");
        }
    readForgeKeys(map, target);
    if (const auto bytes = map.find("log_bytes"))
    {
        target.logBytes = bytes->integer(0, 1L << 40).value_or(0);
        if (target.type != "seamless")
            bytes->problem("is for the type seamless");
    }
    if (const auto allowed = map.find("allow_link_local"))
        target.linkLocal = allowed->boolean().value_or(false);
}

} // namespace

Subscription TargetSpec::subscription() const
{
    if (type == "seamless")
        return {name, services, events, true, true};
    if (!isForge(type))
        return {name, services, events};
    if (perStage)
        return {name, services, {reportEvents::stageChanged}};
    return {name, services, {reportEvents::runChanged, reportEvents::runEnded}};
}

std::vector<std::string> TargetSpec::repositoryHosts() const
{
    if (!hosts.empty())
        return hosts;
    const std::string api = "api.";
    std::string host = Poco::toLower(Poco::URI(url).getHost());
    if (host == "api.github.com" || (host.starts_with(api) && host.ends_with(".ghe.com")))
        host.erase(0, api.size());
    return {host};
}

TargetSpec readTarget(const DocumentNode& root, const std::string& file, const fs::path& secrets,
                      std::vector<Problem>& problems)
{
    TargetSpec target{.file = file};
    readKeys(DocumentValue(root, "", target.file, problems), secrets, target);
    return target;
}

std::string shownUrl(const std::string& url)
{
    return url.substr(0, url.find('?'));
}

} // namespace agent
