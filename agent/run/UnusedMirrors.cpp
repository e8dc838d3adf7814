#include "agent/run/UnusedMirrors.h"

#include "agent/model/Timestamp.h"

#include <algorithm>
#include <set>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace agent
{

namespace
{

constexpr std::int64_t dayMs = 86'400'000;

std::string stemOf(const std::string& name)
{
    return name.substr(0, name.find('.'));
}

/// Returns the first line of a lock, which a stage may have written: harmless in the journal.
std::string addressIn(int lock, const std::string& otherwise)
{
    std::string text(1024, '\0');
    const ssize_t got = ::pread(lock, text.data(), text.size(), 0);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    text.resize(std::min(text.find('\n'), text.size()));
    std::replace_if(
        text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c >= 0x7f; }, '?');
    return text.empty() ? otherwise : text;
}

} // namespace

UnusedMirrors::UnusedMirrors(std::vector<std::filesystem::path> folders, std::int64_t keepMs,
                             Removal removal)
    : _folders(std::move(folders)), _keepMs(keepMs), _removal(std::move(removal))
{
}

std::chrono::milliseconds UnusedMirrors::remove() const
{
    // A mirror that is made meanwhile is not due earlier than this.
    std::int64_t next = _keepMs;
    for (const auto& folder : _folders)
        next = std::min(next, removeIn(folder));
    return std::chrono::milliseconds(next);
}

std::int64_t UnusedMirrors::removeIn(const std::filesystem::path& path) const
{
    std::int64_t next = _keepMs;
    const FileDescriptor folder(
        ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!folder.valid())
        return next;
    std::set<std::string> names;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(path, error))
        names.insert(entry.path().filename());
    for (const auto& name : names)
    {
        const bool aside = name.ends_with(".aside");
        if (!aside && !name.ends_with(".lock"))
            continue;
        const std::string key = stemOf(name);
        const std::int64_t left = _keepMs - ageOf(folder.get(), name, aside);
        if (left > 0)
            next = std::min(next, left);
        else if (aside)
            removeAside(path / name, false);
        else if (removeMirror(path, folder.get(), key))
        {
            for (const auto& other : names)
                if (other.ends_with(".aside") && stemOf(other) == key)
                    removeAside(path / other, true);
        }
    }
    return next;
}

std::int64_t UnusedMirrors::ageOf(int folder, const std::string& name, bool sinceRename)
{
    struct stat info = {};
    if (::fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
        return 0;
    const timespec& since = sinceRename ? info.st_ctim : info.st_mtim;
    return nowMs() - (std::int64_t{since.tv_sec} * 1000 + since.tv_nsec / 1'000'000);
}

bool UnusedMirrors::removeMirror(const std::filesystem::path& path, int folder,
                                 const std::string& key) const
{
    const std::string name = key + ".lock";
    const FileDescriptor lock(
        ::openat(folder, name.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    // Looked at again under the lock: a stage may have begun to use it.
    if (!lock.valid() || ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0 ||
        ageOf(folder, name, false) < _keepMs)
        return false;
    const std::string address = addressIn(lock.get(), key);
    _removal.discard(path / (key + ".git"));
    // Last, and while it is locked: who waits for it finds that its file is gone, and makes another.
    ::unlinkat(folder, name.c_str(), 0);
    _removal.tell("removed the mirror of " + address + ", which no stage has used for " +
                  std::to_string(_keepMs / dayMs) + " days (mirrors.keep)");
    return true;
}

void UnusedMirrors::removeAside(const std::filesystem::path& path, bool withItsMirror) const
{
    _removal.discard(path);
    _removal.tell("removed " + path.string() + ", a mirror that could not be used" +
                  (withItsMirror ? ", with the one in its place" : ""));
}

} // namespace agent
