#include "agent/intake/Forge.h"

#include "agent/os/Sha256.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace agent
{

namespace
{

constexpr std::array<std::pair<Forge, std::string_view>, 3> names{{
    {Forge::Github, "github"},
    {Forge::Gitlab, "gitlab"},
    {Forge::Gitea, "gitea"},
}};

std::string header(const HookHeaders& headers, const std::string& name)
{
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
}

std::string lower(std::string text)
{
    for (char& c : text)
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

/// Compares in a time that depends on neither text: digests of both are compared whole.
bool same(const std::string& given, const std::string& expected)
{
    Sha256 one;
    Sha256 other;
    one.update(given);
    other.update(expected);
    const auto first = one.digest();
    const auto second = other.digest();
    unsigned difference = 0;
    for (std::size_t i = 0; i < first.size(); ++i)
        difference |= static_cast<unsigned>(first.at(i) ^ second.at(i));
    return difference == 0;
}

} // namespace

std::string_view toString(Forge forge)
{
    return names.at(static_cast<std::size_t>(forge)).second;
}

std::optional<Forge> forgeFrom(std::string_view text)
{
    const auto* const found =
        std::find_if(names.begin(), names.end(), [&](const auto& n) { return n.second == text; });
    return found == names.end() ? std::nullopt : std::optional(found->first);
}

bool proves(Forge forge, const HookHeaders& headers, const std::string& body,
            const std::string& secret)
{
    if (secret.empty())
        return false;
    if (forge == Forge::Gitlab)
        return same(header(headers, "x-gitlab-token"), secret);
    const std::string expected = toHex(hmacSha256(secret, body));
    if (forge == Forge::Github)
        return same(lower(header(headers, "x-hub-signature-256")), "sha256=" + expected);
    return same(lower(header(headers, "x-gitea-signature")), expected);
}

} // namespace agent
