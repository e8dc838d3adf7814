#include "agent/shim/OutcomeFile.h"

#include "agent/os/Files.h"
#include "agent/os/RegularFile.h"
#include "agent/wire/Failpoint.h"

#include <cerrno>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace agent
{
namespace
{

/// More than an outcome with the longest message that the shim writes.
constexpr off_t reservedBytes = 8L * 1024;

constexpr const char* temporaryName = "outcome.json.tmp";

constexpr mode_t folderMode = 0700;

int syncFolder(const std::string& folder)
{
    const FileDescriptor file(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return file.valid() && ::fsync(file.get()) == 0 ? 0 : errno;
}

/// Makes `text` all that the file holds.
int replaceContent(int file, std::string_view text, Durable durable)
{
    std::size_t done = 0;
    while (done < text.size())
    {
        const ssize_t n =
            ::pwrite(file, text.data() + done, text.size() - done, static_cast<off_t>(done));
        if (n < 0 && errno != EINTR)
            return errno;
        done += static_cast<std::size_t>(n > 0 ? n : 0);
    }
    struct stat info = {};
    const auto size = static_cast<off_t>(text.size());
    if (::fstat(file, &info) != 0 || (info.st_size != size && ::ftruncate(file, size) != 0))
        return errno;
    return durable == Durable::No || ::fsync(file) == 0 ? 0 : errno;
}

} // namespace

int writeClaim(int lock, const std::string& folder, const std::string& claim, Durable durable)
{
    FAILPOINT("shim.claim.before");
    if (const int error = FAILPOINT_ERRNO("shim.claim.write"))
        return error;
    if (const int error = replaceContent(lock, claim, durable))
        return error;
    FAILPOINT("shim.claim.written");
    const int error = durable == Durable::Yes ? syncFolder(folder) : 0;
    FAILPOINT("shim.claim.after");
    return error;
}

int writeHeld(const std::string& folder, const Held& held)
{
    FAILPOINT("shim.held");
    const std::string name = folder + "/" + files::held;
    const std::string temporary = name + ".tmp";
    const FileDescriptor file = createFile(temporary, O_WRONLY);
    if (!file.valid())
        return errno;
    if (!writeAll(file.get(), toJson(held)))
        return errno;
    return ::rename(temporary.c_str(), name.c_str()) == 0 ? 0 : errno;
}

OutcomeFile::OutcomeFile(const std::string& folder)
    : _folder(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC))
{
}

bool OutcomeFile::exists() const
{
    struct stat info = {};
    return ::fstatat(_folder.get(), files::outcome, &info, AT_SYMLINK_NOFOLLOW) == 0;
}

int OutcomeFile::reserve()
{
    if (const int error = FAILPOINT_ERRNO("shim.outcome.reserve"))
        return error;
    _file = createFileAt(_folder.get(), temporaryName, O_RDWR);
    if (!_file.valid())
        return errno;
    // Beyond the end of the file: so it needs no truncation later, which takes as long as all else here.
    if (::fallocate(_file.get(), FALLOC_FL_KEEP_SIZE, 0, reservedBytes) == 0)
        return 0;
    return errno == EOPNOTSUPP ? ::posix_fallocate(_file.get(), 0, reservedBytes) : errno;
}

/// Whether the file that is open is the one of that name.
bool OutcomeFile::standsAt(const char* name) const
{
    struct stat ours = {};
    struct stat there = {};
    return ::fstat(_file.get(), &ours) == 0 &&
           ::fstatat(_folder.get(), name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

int OutcomeFile::syncFolder() const
{
    return ::fsync(_folder.get()) == 0 ? 0 : errno;
}

/// For what the stage put there.
void OutcomeFile::setAside(const char* name) const
{
    ::renameat(_folder.get(), name, _folder.get(), (std::string(name) + ".obstacle").c_str());
}

int OutcomeFile::write(const std::string& text, Durable durable)
{
    if (_file.valid() && standsAt(files::outcome))
        return syncFolder(); // in place already: only the sync had failed
    struct stat info = {};
    if (::fstat(_folder.get(), &info) == 0 && (info.st_mode & folderMode) != folderMode)
        ::fchmod(_folder.get(), folderMode);
    if (!_file.valid() || !standsAt(temporaryName))
    {
        // The stage removed it, or put something else there.
        _file = createFileAt(_folder.get(), temporaryName, O_RDWR);
        if (!_file.valid() && errno == EEXIST)
        {
            setAside(temporaryName);
            _file = createFileAt(_folder.get(), temporaryName, O_RDWR);
        }
    }
    if (!_file.valid())
        return errno;
    FAILPOINT("shim.outcome.write");
    if (const int error = FAILPOINT_ERRNO("shim.outcome.error"))
        return error;
    if (const int error = replaceContent(_file.get(), text, durable))
        return error;
    FAILPOINT("shim.outcome.rename");
    if (::renameat(_folder.get(), temporaryName, _folder.get(), files::outcome) != 0)
    {
        const int error = errno;
        if (error == EISDIR || error == ENOTEMPTY || error == EEXIST)
            setAside(files::outcome);
        return error;
    }
    if (!standsAt(files::outcome))
        return ESTALE; // a process of the stage was quicker: once more
    FAILPOINT("shim.outcome.sync");
    const int error = durable == Durable::Yes ? syncFolder() : 0;
    FAILPOINT("shim.outcome.done");
    return error;
}

} // namespace agent
