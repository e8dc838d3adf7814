#include "agent/api/Sessions.h"

#include "agent/run/TokenSecret.h"

#include <algorithm>

namespace agent
{

std::string Sessions::invite(const std::string& actor, const Caller& caller, TimeMs now)
{
    const std::string code = newSecret("sac_");
    const std::lock_guard lock(_mutex);
    tidy(_codes, actor, mostCodes, now);
    _codes.push_back(std::make_shared<Grant>(Token{.name = actor,
                                                   .role = caller.role.value_or(Role::Read),
                                                   .services = caller.services,
                                                   .digest = digestOf(code),
                                                   .createdAt = now,
                                                   .expiresAt = now + codeMs},
                                             caller.grant));
    return code;
}

std::optional<Sessions::Opened> Sessions::open(std::string_view code, TimeMs now)
{
    const std::lock_guard lock(_mutex);
    const auto found = look(_codes, code);
    if (found == _codes.end())
        return std::nullopt;
    const auto invitation = *found;
    _codes.erase(found);
    if (!invitation->valid(now))
        return std::nullopt;
    const std::string secret = newSecret("sas_");
    Token token = invitation->token;
    token.digest = digestOf(secret);
    token.createdAt = now;
    token.expiresAt = now + sessionMs;
    tidy(_sessions, token.name, mostSessions, now);
    _sessions.push_back(std::make_shared<Grant>(token, invitation->from));
    return Opened{secret, _sessions.back()};
}

std::shared_ptr<Grant> Sessions::find(std::string_view secret, TimeMs now)
{
    const std::lock_guard lock(_mutex);
    const auto found = look(_sessions, secret);
    if (found == _sessions.end())
        return nullptr;
    return (*found)->valid(now) ? *found : nullptr;
}

/// Makes room for one more of `actor`.
void Sessions::tidy(Grants& grants, const std::string& actor, std::size_t most, TimeMs now)
{
    std::erase_if(grants, [now](const auto& grant) { return !grant->valid(now); });
    const auto isHis = [&](const auto& grant) { return grant->token.name == actor; };
    const auto end = [&](Grants::iterator oldest)
    {
        (*oldest)->revoked = true;
        grants.erase(oldest);
    };
    if (static_cast<std::size_t>(std::count_if(grants.begin(), grants.end(), isHis)) >= mostOfOne)
        end(std::find_if(grants.begin(), grants.end(), isHis));
    else if (grants.size() >= most)
        end(grants.begin());
}

Sessions::Grants::iterator Sessions::look(Grants& grants, std::string_view secret)
{
    const std::string digest = digestOf(secret);
    auto found = grants.end();
    for (auto grant = grants.begin(); grant != grants.end(); ++grant)
        if (equalDigests((*grant)->token.digest, digest))
            found = grant;
    return found;
}

} // namespace agent
