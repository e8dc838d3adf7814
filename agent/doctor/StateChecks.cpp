#include "agent/doctor/Checks.h"
#include "agent/store/RecordReport.h"

#include <cerrno>
#include <map>
#include <system_error>

#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace agent::doctor
{

namespace fs = std::filesystem;

namespace
{

/// A single checkout may need this many.
constexpr fsfilcnt_t fewInodes = 10'000;

/// Returns the folder, or its nearest ancestor that exists.
fs::path nearest(fs::path folder)
{
    std::error_code error;
    folder = fs::absolute(folder);
    while (folder.has_relative_path() && !fs::exists(folder, error))
        folder = folder.parent_path();
    return folder;
}

std::string octal(mode_t mode)
{
    std::string text(4, '0');
    for (std::size_t i = 4; i-- > 0; mode >>= 3U)
        text[i] = static_cast<char>('0' + (mode & 7U));
    return text;
}

/// Returns why this type of file system does not suit the state folder; empty if it does.
std::string fileSystemProblem(const fs::path& folder)
{
    // statfs(2); linux/magic.h lacks some.
    static const std::map<unsigned long, std::string> inMemory{{0x01021994, "tmpfs"},
                                                               {0x858458f6, "ramfs"}};
    static const std::map<unsigned long, std::string> remote{
        {0x6969, "NFS"},      {0x517b, "SMB"},      {0xff534d42, "CIFS"},
        {0xfe534d42, "SMB2"}, {0x01021997, "9p"},   {0x5346414f, "AFS"},
        {0x65735546, "FUSE"}, {0x00c36400, "Ceph"}, {0x47504653, "GPFS"}};
    struct statfs info = {};
    if (::statfs(folder.c_str(), &info) != 0)
        return "";
    const auto type = static_cast<unsigned long>(info.f_type) & 0xffffffffUL;
    if (const auto found = inMemory.find(type); found != inMemory.end())
        return "is in memory (" + found->second + "): a reboot loses it";
    if (const auto found = remote.find(type); found != remote.end())
        return "is on " + found->second +
               ": locks and the record's write-ahead log are not safe there";
    return "";
}

bool forbidsPrograms(const fs::path& folder)
{
    struct statvfs info = {};
    return ::statvfs(folder.c_str(), &info) == 0 && (info.f_flag & ST_NOEXEC) != 0;
}

void checkExistingFolder(const Context& context, const fs::path& folder, const std::string& seen,
                         Findings& findings)
{
    if (::access(folder.c_str(), W_OK | X_OK) != 0)
        return findings.fail("state folder",
                             seen + " can't be written by " + context.user.name + ": " +
                                 std::generic_category().message(errno),
                             "chown -R " + context.user.name + " " + folder.string() +
                                 "; under systemd it must be in StateDirectory= or "
                                 "ReadWritePaths=; or change state.dir");
    struct stat info = {};
    if (::stat(folder.c_str(), &info) == 0 && info.st_uid != context.agents.id)
        return findings.warn("state folder", seen + " is owned by " + userOf(info.st_uid).name,
                             "chown -R " + context.agents.name + " " + folder.string());
    if ((info.st_mode & 077U) != 0)
        return findings.warn(
            "state folder", seen + " is accessible to others: mode " + octal(info.st_mode & 07777U),
            "chmod 700 " + folder.string() + " (logs and workspaces may be confidential)");
    if (const std::string why = fileSystemProblem(folder); !why.empty())
        return findings.warn("state folder", seen + " " + why,
                             "set state.dir to a folder on a local disk");
    if (forbidsPrograms(folder))
        return findings.warn("state folder", seen + " is on a file system mounted noexec",
                             "stages can't run programs that they build: mount it with exec, or "
                             "change state.dir");
    findings.ok("state folder", seen + (context.running ? ", in use by the agent with pid " +
                                                              std::to_string(*context.running)
                                                        : ", not in use"));
}

} // namespace

void checkStateFolder(const Context& context, Findings& findings)
{
    const fs::path& folder = context.setup.config.stateDir;
    const std::string seen = folder.string();
    std::error_code error;
    if (fs::is_directory(folder, error))
        return checkExistingFolder(context, folder, seen, findings);
    const fs::path above = nearest(folder);
    if (error && error != std::errc::no_such_file_or_directory &&
        error != std::errc::not_a_directory)
        findings.fail("state folder", seen + ": " + error.message(),
                      "check as root, or change state.dir");
    else if (!fs::is_directory(above, error))
        findings.fail("state folder", above.string() + " is not a folder",
                      "move it away, or change state.dir");
    else if (::access(above.c_str(), W_OK | X_OK) != 0)
        findings.fail("state folder",
                      seen + " does not exist, and " + context.user.name + " can't create it in " +
                          above.string() + ": " + std::generic_category().message(errno),
                      "systemctl start stage-agent creates the unit's; or, as root: install -d "
                      "-m 700 -o " +
                          context.user.name + " " + seen);
    else
        findings.ok("state folder", seen + " does not exist yet: the first start creates it");
}

std::optional<TimeMs> checkRecord(const Context& context, Findings& findings)
{
    const fs::path file = context.setup.config.stateDir / "record.db";
    std::error_code error;
    if (!fs::exists(file, error))
    {
        if (error)
            findings.warn("record", file.string() + ": " + error.message(),
                          "check as root or as the agent's user");
        else
            findings.ok("record", "does not exist yet: the first start creates it");
        return std::nullopt;
    }
    const bool whole = context.setup.wholeRecord;
    const RecordReport report =
        reportOn(file, whole ? RecordDepth::Whole : RecordDepth::FirstPages);
    const std::string schema = "schema " + std::to_string(report.schema);
    if (!report.damage.empty())
        findings.fail("record", file.string() + " is damaged: " + report.damage,
                      "stop the agent and restore the state folder from a backup, or move the "
                      "file away to start with an empty record (docs/operating.md)");
    else if (!report.unknown.empty())
        findings.warn("record", file.string() + " can't be checked: " + report.unknown,
                      context.running ? "stagectl health shows whether the agent can use it"
                                      : "start the agent: it reports the error");
    else if (report.schema > report.newestSchema)
        findings.fail("record",
                      file.string() + " has " + schema + ", this version supports up to " +
                          std::to_string(report.newestSchema),
                      "run the newer stage-agent again, or restore the state folder from before "
                      "the upgrade");
    else
        findings.ok("record", (whole ? "intact, " : "can be opened, ") + schema +
                                  (report.schema < report.newestSchema
                                       ? "; the next start upgrades it to " +
                                             std::to_string(report.newestSchema)
                                       : "") +
                                  (whole ? "" : "; --record reads all of it"));
    return report.lastEnd;
}

void checkDisk(const Context& context, Findings& findings)
{
    const fs::path folder = nearest(context.setup.config.stateDir);
    struct statvfs info = {};
    if (::statvfs(folder.c_str(), &info) != 0)
        return findings.warn("disk",
                             folder.string() + ": " + std::generic_category().message(errno),
                             "check as root or as the agent's user");
    const auto free =
        static_cast<std::int64_t>(info.f_bavail) * static_cast<std::int64_t>(info.f_frsize);
    const auto least = context.setup.config.diskMinFree;
    const std::string advice = "du -xsh " + context.setup.config.stateDir.string() +
                               "/* shows what uses the space; stagectl delete RUN and shorter "
                               "runs.keep and workspace.keep free some (docs/operating.md)";
    const bool counted = info.f_files > 0; // 0: the file system allocates inodes dynamically
    const std::string seen = std::to_string(free >> 20) + " MiB free in " + folder.string() +
                             ", disk.min_free is " + std::to_string(least >> 20) + " MiB" +
                             (counted ? ", " + std::to_string(info.f_favail) + " inodes free" : "");
    if (free < least)
        findings.fail("disk", seen + ": no new stages start", advice);
    else if (counted && static_cast<std::int64_t>(info.f_favail) <
                            std::min(context.setup.config.diskMinFreeInodes,
                                     static_cast<std::int64_t>(info.f_files) / 20))
        findings.fail("disk", seen + ", below disk.min_free_inodes: no new stages start", advice);
    else if (counted && info.f_favail == 0)
        findings.fail("disk", seen, advice);
    else if (free - least < least / 4)
        findings.warn("disk", seen + ": soon no new stages start", advice);
    else if (counted && info.f_favail < fewInodes)
        findings.warn("disk", seen, advice);
    else
        findings.ok("disk", seen);
}

} // namespace agent::doctor
