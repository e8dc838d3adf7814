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
    std::string name; ///< the number of a user without a name
};

User userOf(uid_t id);
User ourselves();

std::optional<User> userNamed(const std::string& name);

/// Returns the owner of a folder; of `/proc/PID`, the user of the process. nullopt if it does not exist.
std::optional<User> ownerOf(const std::filesystem::path& folder);

/// Makes SIGTERM, SIGINT, SIGHUP and the death of the parent end this process: checking a large record may
/// take longer than stagectl lives.
void endWithParent();

/// Switches root to another user while it exists, so that checks and the programs that they run see what
/// the agent would see. Does nothing for other users.
/// Threads: the process must have only one.
class AsUser
{
public:
    explicit AsUser(const User& user);
    AsUser(const AsUser&) = delete;
    AsUser& operator=(const AsUser&) = delete;
    ~AsUser();

    /// Returns the user in effect.
    [[nodiscard]] const User& user() const { return _user; }

private:
    User _user;
    bool _changed = false;
};

} // namespace agent::doctor
