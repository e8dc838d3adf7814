#include "agent/doctor/Checks.h"

#include <sys/stat.h>

namespace agent::doctor
{

/// Whether strangers are kept out, and whoever should get in does.
void checkAccess(const Context& context, Findings& findings)
{
    constexpr const char* check = "access";
    const Config& config = context.setup.config;
    const std::string file = config.stateDir / "admin.token";
    struct stat info = {};
    const bool there = ::lstat(file.c_str(), &info) == 0;
    if (there && (info.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return findings.fail(check, file + " can be read or written by other users",
                             "remove it and restart the agent: the next start makes a new token, "
                             "and the old one ends");
    if (there && !S_ISREG(info.st_mode))
        return findings.fail(check, file + " is no file", "remove it and restart the agent");
    if (there && info.st_uid != context.agents.id && info.st_uid != 0)
        return findings.fail(check, file + " does not belong to " + context.agents.name,
                             "remove it and restart the agent");
    if (!config.authRequired)
        return findings.warn(
            check,
            "auth.required is false: every process of this host, stages too, may "
            "do everything",
            "remove that line, and give tokens to who needs them (docs/access.md)");
    if (!there && context.running)
        return findings.warn(check, "there is no " + file,
                             "a restart of the agent writes a new one; running stages go on");
    findings.ok(check, there ? "tokens are required; only its owner can read " + file
                             : "tokens are required; the first start writes " + file);
}

} // namespace agent::doctor
