#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include <sys/types.h>

namespace agent::doctor
{

struct User
{
    uid_t id = 0;
    gid_t group = 0;
    std::string name; ///< its number where it has none
};

User userOf(uid_t id);
User ourselves();

/// Whose agent it is: the owner of the state folder.
/// Shape: nothing when there is no such folder yet.
std::optional<User> ownerOf(const std::filesystem::path& state);

/// Makes root the agent's user until its end, so that each look and each program that is run sees what the
/// agent would see. For anyone else it does nothing.
/// Threads: there may be one only.
class LookingAs
{
public:
    explicit LookingAs(const User& user);
    LookingAs(const LookingAs&) = delete;
    LookingAs& operator=(const LookingAs&) = delete;
    ~LookingAs();

    /// As whom we look now.
    [[nodiscard]] const User& user() const { return _user; }

private:
    User _user;
    bool _changed = false;
};

} // namespace agent::doctor
