#include "agent/outbox/TargetSpec.h"

#include "agent/document/DocumentValue.h"
#include "agent/model/Token.h"
#include "agent/os/SecretFile.h"

#include <Poco/Base64Decoder.h>
#include <Poco/Exception.h>
#include <Poco/StreamCopier.h>
#include <Poco/URI.h>

#include <algorithm>
#include <sstream>
#include <stdexcept>
#include <system_error>

namespace agent
{

namespace
{

namespace fs = std::filesystem;

constexpr std::size_t mostTargets = 50;
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

void readTarget(const DocumentValue& root, const fs::path& secrets, TargetSpec& target)
{
    const DocumentMap map(
        root, {"name", "type", "url", "secret", "token", "services", "events", "allow_link_local"},
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
        if (target.type != "webhook")
            type->expected("webhook");
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
    if (const auto allowed = map.find("allow_link_local"))
        target.linkLocal = allowed->boolean().value_or(false);
}

std::vector<fs::path> targetFiles(const fs::path& folder, std::vector<Problem>& problems)
{
    std::vector<fs::path> files;
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    {
        const fs::path& file = it->path();
        const bool hidden = file.filename().string().starts_with('.');
        if (!hidden && (file.extension() == ".yaml" || file.extension() == ".yml"))
            files.push_back(file);
    }
    if (error && error != std::errc::no_such_file_or_directory)
        problems.push_back(
            {.file = folder.string(), .message = "cannot be read: " + error.message()});
    std::sort(files.begin(), files.end());
    return files;
}

} // namespace

std::vector<TargetSpec> readTargets(const fs::path& folder, const fs::path& secrets,
                                    std::vector<Problem>& problems,
                                    std::vector<std::string>& refused)
{
    std::vector<TargetSpec> targets;
    for (const fs::path& file : targetFiles(folder, problems))
    {
        std::vector<Problem> found;
        TargetSpec target{.file = file.string()};
        const auto text = readText(file, DocumentLimits{}.bytes, found);
        const auto root = text ? parseYaml(*text, target.file, found) : std::nullopt;
        if (root)
            readTarget(DocumentValue(*root, "", target.file, found), secrets, target);
        const auto same =
            std::find_if(targets.begin(), targets.end(),
                         [&](const TargetSpec& other) { return other.name == target.name; });
        if (found.empty() && same != targets.end())
            found.push_back({.file = target.file,
                             .key = "name",
                             .message = "a target of this name is declared in " + same->file});
        if (found.empty() && targets.size() == mostTargets)
            found.push_back({.file = target.file,
                             .message = "there are " + std::to_string(mostTargets) +
                                        " targets already, which are the most"});
        if (found.empty())
            targets.push_back(std::move(target));
        else
            refused.push_back(target.file);
        problems.insert(problems.end(), found.begin(), found.end());
    }
    return targets;
}

std::string shownUrl(const std::string& url)
{
    return url.substr(0, url.find('?'));
}

} // namespace agent
