#include "agent/doctor/AgentsUser.h"

#include <csignal>
#include <cstdlib>

#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace agent::doctor
{

User userOf(uid_t id)
{
    if (const passwd* entry = ::getpwuid(id))
        return {.id = id, .group = entry->pw_gid, .name = entry->pw_name};
    return {.id = id, .group = static_cast<gid_t>(id), .name = std::to_string(id)};
}

User ourselves()
{
    return userOf(::geteuid());
}

std::optional<User> userNamed(const std::string& name)
{
    const passwd* entry = ::getpwnam(name.c_str());
    return entry ? std::optional(userOf(entry->pw_uid)) : std::nullopt;
}

std::optional<User> ownerOf(const std::filesystem::path& folder)
{
    struct stat info = {};
    if (::stat(folder.c_str(), &info) != 0)
        return std::nullopt;
    return userOf(info.st_uid);
}

void endWithParent()
{
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP})
        sigaddset(&set, signal);
    ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
}

AsUser::AsUser(const User& user) : _user(ourselves())
{
    if (_user.id != 0 || user.id == 0)
        return;
    // The real ids too, which access(2) uses. The saved ones stay root's, to switch back.
    if (::initgroups(user.name.c_str(), user.group) != 0 ||
        ::setresgid(user.group, user.group, 0) != 0 || ::setresuid(user.id, user.id, 0) != 0)
        return;
    endWithParent(); // the switch clears PR_SET_PDEATHSIG
    _user = user;
    _changed = true;
}

AsUser::~AsUser()
{
    if (!_changed)
        return;
    if (::setresuid(0, 0, 0) != 0 || ::setresgid(0, 0, 0) != 0 || ::setgroups(0, nullptr) != 0)
        std::abort(); // never continue as the wrong user
    endWithParent();
}

} // namespace agent::doctor
