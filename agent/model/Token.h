#pragma once

#include "agent/model/Timestamp.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace agent
{

/// What a caller may do; each role includes those before it.
enum class Role
{
    Read,
    Run,
    Operate,
    Admin
};

std::string_view toString(Role role); ///< `read` and so on
std::optional<Role> roleFrom(std::string_view text);

/// A right to use the API, given to whoever shows the secret. The secret itself is kept nowhere.
struct Token
{
    std::string name; ///< the actor of what its bearer does
    Role role = Role::Read;
    std::vector<std::string> services; ///< patterns that narrow it; empty: it is not narrowed
    bool proxy = false;                ///< its bearer may name the person for whom it asks
    std::string digest;                ///< SHA-256 of the secret, 64 hexadecimal digits
    TimeMs createdAt = 0;
    std::optional<TimeMs> expiresAt; ///< none: never
    std::optional<TimeMs> lastUsedAt;
};

/// Returns why `name` can't be a token's; empty when it can. `agent` is what the agent itself is called in
/// the history.
std::string problemOfTokenName(const std::string& name);

/// Returns why this can't be a pattern of services; empty when it can.
std::string problemOfPattern(const std::string& pattern);

/// Whether one of the patterns matches the service's name, as a shell's do.
bool matchesAny(const std::vector<std::string>& patterns, const std::string& name);

} // namespace agent
