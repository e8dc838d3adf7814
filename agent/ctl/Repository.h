#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace agent::ctl
{

/// A git repository, as far as its files tell.
struct Repository
{
    std::filesystem::path root;
    std::string url;             ///< of origin, without user and password; empty: it has none
    bool hadCredentials = false; ///< the URL had them
    std::string branch;          ///< that is checked out; empty: none
};

/// Returns the repository that `folder` is in; nothing where it is in none.
std::optional<Repository> repositoryAround(const std::filesystem::path& folder);

} // namespace agent::ctl
