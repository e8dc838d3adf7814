#include "agent/doctor/Checks.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace agent::doctor
{

namespace
{

constexpr const char* check = "socket";

/// Where stage-agent.socket of the package listens; the agent takes it where its configuration names none.
constexpr const char* ofTheUnit = "/run/stage-agent/api.sock";

std::string groupName(gid_t gid)
{
    const group* found = ::getgrgid(gid);
    return found != nullptr ? found->gr_name : std::to_string(gid);
}

/// The state folder lets nobody else in: a socket there is root's and the agent's user's.
std::string whoReaches(const std::filesystem::path& path, const struct stat& socket)
{
    struct stat folder = {};
    ::stat(path.parent_path().c_str(), &folder);
    const bool open = (folder.st_mode & S_IXOTH) != 0 ||
                      ((folder.st_mode & S_IXGRP) != 0 && folder.st_gid == socket.st_gid);
    return open ? "root and members of the group " + groupName(socket.st_gid)
                : "root only, since its folder is closed to others; for the group " +
                      groupName(socket.st_gid) + " set http.socket to a path in an open one";
}

/// Returns whether there is a socket; tells of something else in its place.
bool isThere(const std::string& path, struct stat& info, Findings& findings)
{
    const bool found = ::lstat(path.c_str(), &info) == 0;
    if (found && !S_ISSOCK(info.st_mode))
        findings.fail(check, path + " exists and is no socket",
                      "remove it, or set http.socket to another path");
    return found && S_ISSOCK(info.st_mode);
}

void checkPlace(const std::filesystem::path& path, const Context& context, Findings& findings)
{
    const User& user = context.user;
    const std::string folder = path.parent_path().string();
    const bool writable = ::faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) == 0;
    const int error = errno;
    // The state folder is made at the first start; no other one is.
    const bool made = path.parent_path() == context.setup.config.stateDir && error == ENOENT;
    if (!writable && !made)
        findings.fail(check,
                      path.string() + " can't be made by " + user.name + ": " +
                          std::generic_category().message(error),
                      "RuntimeDirectory= or a .socket unit, or set http.socket to another path");
    else
        findings.ok(check, path.string() + ": made at start");
}

} // namespace

void checkSocket(const Context& context, Findings& findings)
{
    const Config& config = context.setup.config;
    const std::string path = config.httpSocket.string();
    if (path.empty())
        return findings.ok(check, "none: http.socket is empty");
    if (!config.operatorsGroup.empty() && !config.operatorsGid)
        findings.warn(check,
                      "there is no group " + config.operatorsGroup + " (auth.operators_group)",
                      "groupadd " + config.operatorsGroup + ", then systemctl restart stage-agent");
    const std::size_t before = findings.count(Health::Fail);
    struct stat info = {};
    const bool unsaid = config.httpSocket == config.stateDir / "api.sock";
    if (isThere(path, info, findings))
        findings.ok(check, path + ", for " + whoReaches(config.httpSocket, info));
    else if (unsaid && context.running && isThere(ofTheUnit, info, findings))
        findings.ok(check, std::string(ofTheUnit) + ", of the .socket unit, for " +
                               whoReaches(ofTheUnit, info));
    else if (findings.count(Health::Fail) != before)
        return;
    else if (context.running)
        findings.fail(check, "the agent runs, but " + path + " is not there",
                      "systemctl restart stage-agent (stages keep running)");
    else
        checkPlace(config.httpSocket, context, findings);
}

} // namespace agent::doctor
