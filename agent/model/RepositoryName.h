#pragma once

#include <string>
#include <string_view>

namespace agent
{

/// Returns what two URLs of one repository have in common: `git.example.org/acme/payment`, whether it is fetched by
/// https, ssh or `user@host:path`. Empty for what is no such URL.
std::string repositoryName(std::string_view url);

/// Returns a repository as it may be shown: without a user and password in its URL.
std::string shownRepository(const std::string& repository);

} // namespace agent
