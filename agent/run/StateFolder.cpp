#include "agent/run/StateFolder.h"

#include "agent/os/ProcessStat.h"
#include "agent/wire/Failpoint.h"

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <linux/fs.h>
#include <sstream>
#include <stdexcept>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace agent
{

namespace
{

/// The address's file while there is none, for its block.
constexpr const char* keptAddress = "address.kept";

void makePrivate(const std::filesystem::path& folder)
{
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error || ::access(folder.c_str(), W_OK) != 0)
        throw std::runtime_error("the state folder " + folder.string() + " can't be written: " +
                                 (error ? error.message() : std::strerror(errno)) +
                                 ". Set state.dir to one that this user may write");
    ::chmod(folder.c_str(), 0700);
}

/// Tells ext4 that the folders in this one don't belong together. It then puts each of them where much is free, and what is
/// made in it next to it. Else all runs stand in the same groups of blocks as what else was written to that disk, and where
/// compilers remove their temporary files there, the search for an inode that was not freed within the last seconds takes
/// most of the time between two stages: 1 to 2 ms of processor time for an attempt's files instead of 0.1 ms, measured
/// beside a build. Other file systems have no such flag, and need none.
void spreadFoldersOf(const std::filesystem::path& folder)
{
    const FileDescriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    int flags = 0; // not a long, whatever the number of the ioctl says
    if (!opened.valid() || ::ioctl(opened.get(), FS_IOC_GETFLAGS, &flags) != 0)
        return;
    flags |= FS_TOPDIR_FL;
    (void)::ioctl(opened.get(), FS_IOC_SETFLAGS, &flags);
}

/// Opens the lock with a number above those of all that is opened at start. A process's descriptors are closed in
/// the order of their numbers, so who gets the lock of a killed agent finds its port, its socket and its record free
/// too, also where a child that it was starting had copies of them.
FileDescriptor openLock(const std::filesystem::path& file)
{
    constexpr int aboveTheOthers = 200;
    FileDescriptor lock(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!lock.valid())
        throw std::runtime_error("can't open " + file.string() + ": " + std::strerror(errno));
    FileDescriptor high(::fcntl(lock.get(), F_DUPFD_CLOEXEC, aboveTheOthers));
    // Fails where the limit of open files is lower than that.
    return high.valid() ? std::move(high) : std::move(lock);
}

/// Returns false when another agent has the lock; `owner` is its pid. A child that the last agent was starting
/// when it was killed has a copy of its descriptors until it has closed them: that is waited for.
bool takeLock(int lock, const std::filesystem::path& file, std::string& owner)
{
    constexpr int tries = 500;
    constexpr std::chrono::milliseconds pause{10};
    for (int i = 0; ::flock(lock, LOCK_EX | LOCK_NB) != 0; ++i)
    {
        std::ifstream(file) >> owner;
        const int pid = std::atoi(owner.c_str());
        if (pid <= 0 || processStat(pid) || i == tries)
            return false;
        std::this_thread::sleep_for(pause);
    }
    return true;
}

/// Makes `text` all that the file holds, in the blocks that it has. Returns whether it does.
bool writeOver(int file, const std::string& text)
{
    return ::pwrite(file, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()) &&
           ::ftruncate(file, static_cast<off_t>(text.size())) == 0;
}

} // namespace

StateFolder::StateFolder(const std::filesystem::path& root) : _root(std::filesystem::absolute(root))
{
    makePrivate(_root);
    // From here on no symlink is right in a path below it.
    _root = std::filesystem::canonical(_root);
    const auto file = _root / "lock";
    _lock = openLock(file);
    std::string owner;
    if (!takeLock(_lock.get(), file, owner))
    {
        throw std::runtime_error("another stage-agent (pid " + (owner.empty() ? "unknown" : owner) +
                                 ") uses the state folder " + _root.string() +
                                 ". Stop it, or give this one a state.dir of its own");
    }
    // The pid is for who looks from outside; a full disk must not keep the daemon from starting.
    (void)writeOver(_lock.get(), std::to_string(::getpid()) + "\n");
    for (const auto& folder : {_root / "runs", mirrors(), trash()})
        makePrivate(folder);
    spreadFoldersOf(_root / "runs");
}

std::filesystem::path StateFolder::run(const std::string& runId) const
{
    return _root / "runs" / runId.substr(0, 2) / runId;
}

std::filesystem::path StateFolder::workspace(const std::string& runId) const
{
    return run(runId) / "workspace";
}

std::filesystem::path StateFolder::home(const std::string& runId) const
{
    return run(runId) / "home";
}

std::filesystem::path StateFolder::stage(const Stage& stage) const
{
    return run(stage.runId) /
           (std::to_string(stage.ordinal) + "-" + std::string(toString(stage.type)));
}

std::filesystem::path StateFolder::attempt(const Stage& stage, int attempt) const
{
    return this->stage(stage) / std::to_string(attempt);
}

void StateFolder::writeAddress(const std::string& url) const
{
    // A daemon that was killed left its own: no reader is to see half of another one, nor is the block to be lost.
    if (std::filesystem::exists(_root / "address"))
        removeAddress();
    const auto temporary = _root / keptAddress;
    {
        const FileDescriptor file(
            ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!file.valid() || !writeOver(file.get(), url + "\n"))
            throw std::runtime_error("can't write " + temporary.string() + ": " +
                                     std::strerror(errno));
    }
    FAILPOINT("address");
    std::filesystem::rename(temporary, _root / "address");
}

void StateFolder::removeAddress() const noexcept
{
    std::error_code ignored;
    std::filesystem::rename(_root / "address", _root / keptAddress, ignored);
}

std::optional<int> StateFolder::holder(const std::filesystem::path& root)
{
    const auto file = root / "lock";
    std::string written; // empty where the disk was full
    std::ifstream(file) >> written;
    struct stat info = {};
    if (::stat(file.c_str(), &info) != 0)
        return std::nullopt;
    // `1: FLOCK  ADVISORY  WRITE 4711 fe:00:1234 0 EOF`. Some file systems show another device than stat
    // does; the inode and the pid in the file are enough.
    std::ifstream locks("/proc/locks");
    for (std::string line; std::getline(locks, line);)
    {
        std::istringstream words(line);
        std::string number, kind, advisory, access, pid, place;
        words >> number >> kind >> advisory >> access >> pid >> place;
        if (kind == "FLOCK" && (written.empty() || pid == written) &&
            place.ends_with(":" + std::to_string(info.st_ino)))
            return std::atoi(pid.c_str());
    }
    return std::nullopt;
}

FreeSpace StateFolder::free() const
{
    return freeSpaceOf(_root.string()).value_or(FreeSpace{});
}

} // namespace agent
