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

std::optional<User> userNamed(const std::string& name);

/// Whose this folder is: the state folder is its agent's, `/proc/PID` that process's.
/// Shape: nothing when it is not there.
std::optional<User> ownerOf(const std::filesystem::path& folder);

/// From now on TERM and INT end us, and so does the end of who started us: a look at a big record takes
/// its time, and nobody may wait for it any more.
void endWithWhoAsked();

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
