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

/// Fewer files than that are soon made by one checkout.
constexpr fsfilcnt_t fewInodes = 10'000;

/// What there is of the folder: itself, or the nearest one above it.
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

/// Why the state folder is not well placed on a file system of this kind; empty: it is.
std::string misplaced(const fs::path& folder)
{
    // statfs(2); linux/magic.h lacks some of them.
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
        return "is in memory (" + found->second + "): a reboot of the host loses it";
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

/// A folder that is there.
void checkFolder(const Visit& visit, const fs::path& folder, const std::string& seen,
                 Findings& findings)
{
    if (::access(folder.c_str(), W_OK | X_OK) != 0)
        return findings.fail("state folder",
                             seen + " can't be written by " + visit.user.name + ": " +
                                 std::generic_category().message(errno),
                             "chown -R " + visit.user.name + " " + folder.string() +
                                 "; under systemd it must stand in StateDirectory= or "
                                 "ReadWritePaths=; or set state.dir to another one");
    struct stat info = {};
    if (::stat(folder.c_str(), &info) == 0 && info.st_uid != visit.agents.id)
        return findings.warn("state folder", seen + " is " + userOf(info.st_uid).name + "'s",
                             "chown -R " + visit.agents.name + " " + folder.string());
    if ((info.st_mode & 077U) != 0)
        return findings.warn("state folder",
                             seen + " is open to others: mode " + octal(info.st_mode & 07777U),
                             "chmod 700 " + folder.string() +
                                 " (logs and workspaces may hold what is nobody else's business)");
    if (const std::string why = misplaced(folder); !why.empty())
        return findings.warn("state folder", seen + " " + why,
                             "set state.dir to a folder on a local disk");
    if (forbidsPrograms(folder))
        return findings.warn("state folder", seen + " is on a file system mounted noexec",
                             "stages can't run programs that they build: mount it with exec, or "
                             "set state.dir to another one");
    findings.ok("state folder", seen + (visit.running ? ", in use by the agent with pid " +
                                                            std::to_string(*visit.running)
                                                      : ", in use by nobody"));
}

} // namespace

void checkStateFolder(const Visit& visit, Findings& findings)
{
    const fs::path& folder = visit.setup.config.stateDir;
    const std::string seen = folder.string();
    std::error_code error;
    if (fs::is_directory(folder, error))
        return checkFolder(visit, folder, seen, findings);
    const fs::path above = nearest(folder);
    if (error && error != std::errc::no_such_file_or_directory &&
        error != std::errc::not_a_directory)
        findings.fail("state folder", seen + ": " + error.message(),
                      "look at it as root; or set state.dir to another one");
    else if (!fs::is_directory(above, error))
        findings.fail("state folder", above.string() + " is no folder",
                      "move it away, or set state.dir to another place");
    else if (::access(above.c_str(), W_OK | X_OK) != 0)
        findings.fail("state folder",
                      seen + " is not there, and " + visit.user.name + " can't make it in " +
                          above.string() + ": " + std::generic_category().message(errno),
                      "systemctl start stage-agent makes the unit's own; or, as root: install -d "
                      "-m 700 -o " +
                          visit.user.name + " " + seen);
    else
        findings.ok("state folder", seen + " is not there yet: the first start makes it");
}

std::optional<TimeMs> checkRecord(const Visit& visit, Findings& findings)
{
    const fs::path file = visit.setup.config.stateDir / "record.db";
    std::error_code error;
    if (!fs::exists(file, error))
    {
        if (error)
            findings.warn("record", file.string() + ": " + error.message(),
                          "look at it as root or as the agent's user");
        else
            findings.ok("record", "there is none yet: the first start makes it");
        return std::nullopt;
    }
    const bool whole = visit.setup.wholeRecord;
    const RecordReport report =
        reportOn(file, whole ? RecordDepth::Whole : RecordDepth::FirstPages);
    const std::string schema = "schema " + std::to_string(report.schema);
    if (!report.damage.empty())
        findings.fail("record", file.string() + " is damaged: " + report.damage,
                      "stop the agent and restore the state folder from a backup, or move the "
                      "file away to start with an empty record (docs/operating.md)");
    else if (!report.unknown.empty())
        findings.warn("record", file.string() + " can't be looked at: " + report.unknown,
                      visit.running ? "stagectl health says whether the agent can use it"
                                    : "start the agent: it says what is wrong with it");
    else if (report.schema > report.newestSchema)
        findings.fail("record",
                      file.string() + " is of " + schema + ", this version knows up to " +
                          std::to_string(report.newestSchema),
                      "run the newer stage-agent again, or restore the state folder as it was "
                      "before the upgrade");
    else
        findings.ok("record", (whole ? "whole, " : "can be opened, ") + schema +
                                  (report.schema < report.newestSchema
                                       ? "; the next start brings it to " +
                                             std::to_string(report.newestSchema)
                                       : "") +
                                  (whole ? "" : "; --record reads all of it"));
    return report.lastEnd;
}

void checkDisk(const Visit& visit, Findings& findings)
{
    const fs::path folder = nearest(visit.setup.config.stateDir);
    struct statvfs info = {};
    if (::statvfs(folder.c_str(), &info) != 0)
        return findings.warn("disk",
                             folder.string() + ": " + std::generic_category().message(errno),
                             "look at it as root or as the agent's user");
    const auto free =
        static_cast<std::int64_t>(info.f_bavail) * static_cast<std::int64_t>(info.f_frsize);
    const auto least = visit.setup.config.diskMinFree;
    const std::string advice = "du -xsh " + visit.setup.config.stateDir.string() +
                               "/* shows what takes the room; stagectl delete RUN, shorter "
                               "runs.keep and workspace.keep give some back (docs/operating.md)";
    const bool counted = info.f_files > 0; // some file systems make inodes as they need them
    const std::string seen = std::to_string(free >> 20) + " MiB free in " + folder.string() +
                             ", disk.min_free is " + std::to_string(least >> 20) + " MiB" +
                             (counted ? ", " + std::to_string(info.f_favail) + " inodes free" : "");
    if (free < least)
        findings.fail("disk", seen + ": no new stage starts", advice);
    else if (counted && info.f_favail == 0)
        findings.fail("disk", seen, advice);
    else if (free - least < least / 4)
        findings.warn("disk", seen + ": soon no new stage starts", advice);
    else if (counted && info.f_favail < fewInodes)
        findings.warn("disk", seen, advice);
    else
        findings.ok("disk", seen);
}

} // namespace agent::doctor
