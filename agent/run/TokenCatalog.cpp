#include "agent/run/TokenCatalog.h"

#include "agent/run/TokenSecret.h"

#include <algorithm>

namespace agent
{

namespace
{

/// The last use is known to the minute: a token that is used all the time costs one write in it.
constexpr TimeMs recordAfterMs = 60'000;

} // namespace

void TokenCatalog::add(const Token& token)
{
    remove(token.name);
    const std::lock_guard lock(_mutex);
    _recorded.push_back(std::make_shared<Grant>(token));
}

void TokenCatalog::remove(const std::string& name)
{
    {
        const std::lock_guard lock(_mutex);
        std::erase_if(_recorded,
                      [&](const auto& grant)
                      {
                          const bool is = grant->token.name == name;
                          if (is)
                              grant->revoked = true;
                          return is;
                      });
    }
    revoked();
}

void TokenCatalog::setOutside(const std::vector<Token>& tokens)
{
    {
        const std::lock_guard lock(_mutex);
        Grants grants;
        for (const auto& token : tokens)
        {
            // Who uses one that stays keeps it over a reload.
            const auto same = std::find_if(_outside.begin(), _outside.end(),
                                           [&](const auto& known)
                                           {
                                               return known->token.name == token.name &&
                                                      known->token.role == token.role &&
                                                      known->token.digest == token.digest;
                                           });
            grants.push_back(same == _outside.end() ? std::make_shared<Grant>(token) : *same);
        }
        for (const auto& known : _outside)
            known->revoked = std::find(grants.begin(), grants.end(), known) == grants.end();
        _outside = std::move(grants);
    }
    revoked();
}

std::shared_ptr<Grant> TokenCatalog::find(std::string_view secret) const
{
    const std::string digest = digestOf(secret);
    const std::lock_guard lock(_mutex);
    std::shared_ptr<Grant> found;
    for (const auto* grants : {&_recorded, &_outside})
        for (const auto& grant : *grants)
            if (equalDigests(grant->token.digest, digest))
                found = grant;
    return found;
}

bool TokenCatalog::use(Grant& grant, TimeMs now)
{
    grant.usedAt = now;
    return now - grant.recordedAt >= recordAfterMs && !_takesUses.exchange(true);
}

std::vector<std::pair<std::string, TimeMs>> TokenCatalog::takeUses()
{
    _takesUses = false;
    std::vector<std::pair<std::string, TimeMs>> uses;
    const std::lock_guard lock(_mutex);
    for (const auto& grant : _recorded)
    {
        const TimeMs at = grant->usedAt;
        if (at > grant->recordedAt.exchange(at))
            uses.emplace_back(grant->token.name, at);
    }
    return uses;
}

TokenCatalog::Listed TokenCatalog::listed(const Grant& grant, bool outside)
{
    Listed listed{.token = grant.token, .outside = outside};
    if (const TimeMs at = grant.usedAt; at > 0)
        listed.token.lastUsedAt = at;
    return listed;
}

std::vector<TokenCatalog::Listed> TokenCatalog::all() const
{
    std::vector<Listed> found;
    {
        const std::lock_guard lock(_mutex);
        for (const auto& grant : _recorded)
            found.push_back(listed(*grant, false));
        for (const auto& grant : _outside)
            found.push_back(listed(*grant, true));
    }
    std::sort(found.begin(), found.end(),
              [](const auto& one, const auto& other) { return one.token.name < other.token.name; });
    return found;
}

} // namespace agent
