#include "agent/model/Token.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fnmatch.h>

namespace agent
{

namespace
{

constexpr std::array<std::pair<Role, std::string_view>, 4> names{{
    {Role::Read, "read"},
    {Role::Run, "run"},
    {Role::Operate, "operate"},
    {Role::Admin, "admin"},
}};

constexpr std::size_t longestName = 64;
constexpr std::size_t longestPattern = 128;

bool isLetter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

} // namespace

std::string_view toString(Role role)
{
    return names[static_cast<std::size_t>(role)].second;
}

std::optional<Role> roleFrom(std::string_view text)
{
    const auto found =
        std::find_if(names.begin(), names.end(), [&](const auto& n) { return n.second == text; });
    return found == names.end() ? std::nullopt : std::optional(found->first);
}

std::string problemOfTokenName(const std::string& name)
{
    const bool plain = std::all_of(name.begin(), name.end(),
                                   [](char c) {
                                       return isLetter(c) || (c >= '0' && c <= '9') || c == '-' ||
                                              c == '_' || c == '.' || c == '@';
                                   });
    if (name.empty() || name.size() > longestName || !plain || !isLetter(name.front()))
        return "a name begins with a letter, and has at most 64 letters, digits and - _ . @";
    return name == "agent" ? "'agent' is the agent itself in the history" : "";
}

std::string problemOfPattern(const std::string& pattern)
{
    const bool printable =
        std::all_of(pattern.begin(), pattern.end(), [](char c) { return c > 0x20 && c < 0x7f; });
    return pattern.empty() || pattern.size() > longestPattern || !printable
               ? "a pattern of services has 1 to 128 printable characters, such as payment or "
                 "payment-*"
               : "";
}

bool matchesAny(const std::vector<std::string>& patterns, const std::string& name)
{
    return std::any_of(patterns.begin(), patterns.end(),
                       [&](const std::string& pattern)
                       { return ::fnmatch(pattern.c_str(), name.c_str(), FNM_NOESCAPE) == 0; });
}

} // namespace agent
