#include "agent/store/RecordReserve.h"

#include "agent/store/Database.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace agent
{

namespace
{

/// Twice what a checkpoint leaves in it (wal_autocheckpoint, 1000 pages): a transaction of as much fits behind that.
constexpr std::int64_t logBytes = std::int64_t{8} << 20;

/// Its parts are of 32 KiB, for 4096 pages of the log each.
constexpr std::int64_t indexBytes = std::int64_t{64} << 10;

/// Source: https://sqlite.org/fileformat2.html, 4.1: without its magic number a log holds nothing.
constexpr std::size_t logHeaderBytes = 32;

/// The byte of the index that every process locks which has it open; the first one cuts the file off.
/// Source: SQLite's os_unix.c, UNIX_SHM_DMS.
constexpr off_t indexLockByte = 128;

/// What stays free when the log is made longer: on a disk with less it grows with what is written alone.
constexpr std::uintmax_t leaveFree = std::uintmax_t{2} << 20;

constexpr std::int64_t pagesWanted = 256;
constexpr std::int64_t pageBytes = 4096;

const Query freeReserve{"DELETE FROM reserve"};
const Query takeReserve{"INSERT INTO reserve (pages) VALUES (zeroblob(?))"};

FileDescriptor open(const std::filesystem::path& file, int flags)
{
    return FileDescriptor(::open(file.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC | flags, 0600));
}

std::int64_t sizeOf(const FileDescriptor& file)
{
    struct stat info = {};
    return file.valid() && ::fstat(file.get(), &info) == 0 ? info.st_size : 0;
}

/// Writes zeros up to `end`; stops where the disk does.
bool writeZeros(const FileDescriptor& file, std::int64_t from, std::int64_t end)
{
    static constexpr std::array<char, 65536> zeros{};
    while (from < end)
    {
        const auto size = std::min<std::int64_t>(end - from, zeros.size());
        const ssize_t n = ::pwrite(file.get(), zeros.data(), static_cast<std::size_t>(size), from);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        from += n;
    }
    return true;
}

/// For an empty file on btrfs: writing over its blocks takes no others.
void withoutCopyOnWrite(const FileDescriptor& file)
{
    struct statfs info = {};
    int flags = 0;
    if (::fstatfs(file.get(), &info) != 0 || info.f_type != BTRFS_SUPER_MAGIC ||
        ::ioctl(file.get(), FS_IOC_GETFLAGS, &flags) != 0)
        return;
    flags |= FS_NOCOW_FL;
    ::ioctl(file.get(), FS_IOC_SETFLAGS, &flags);
}

bool lock(const FileDescriptor& file, short type)
{
    struct flock lock = {};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = indexLockByte;
    lock.l_len = 1;
    return ::fcntl(file.get(), F_OFD_SETLK, &lock) == 0;
}

} // namespace

RecordReserve::RecordReserve(const std::filesystem::path& record)
    : _record(record),
      _log(record.string() + "-wal"),
      _index(record.string() + "-shm"),
      _keptLog(_log.string() + ".kept"),
      _keptIndex(_index.string() + ".kept")
{
}

bool RecordReserve::logHoldsChanges() const
{
    const FileDescriptor log(::open(_log.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    std::array<char, logHeaderBytes> header{};
    const ssize_t n = log.valid() ? ::pread(log.get(), header.data(), header.size(), 0) : 0;
    return n > 0 && std::any_of(header.begin(), header.end(), [](char byte) { return byte != 0; });
}

void RecordReserve::prepareRecord() const
{
    if (const FileDescriptor file = open(_record, O_CREAT); sizeOf(file) == 0 && file.valid())
        withoutCopyOnWrite(file);
}

void RecordReserve::bringOut()
{
    bringOutIndex(); // first: without it the record can't be opened at all
    bringOutLog();
}

void RecordReserve::bringOutLog() const
{
    if (const FileDescriptor kept = open(_keptLog, 0);
        kept.valid() && ::access(_log.c_str(), F_OK) != 0)
    {
        // Its content is older than the record, which may have been restored from a backup since.
        if (!writeZeros(kept, 0, logHeaderBytes))
            return;
        ::rename(_keptLog.c_str(), _log.c_str());
    }
    const FileDescriptor log = open(_log, O_CREAT);
    const std::int64_t size = sizeOf(log);
    if (!log.valid() || size >= logBytes)
        return;
    if (size == 0)
        withoutCopyOnWrite(log);
    std::error_code error;
    const auto space = std::filesystem::space(_log, error);
    if (!error && space.available >= static_cast<std::uintmax_t>(logBytes - size) + leaveFree)
        writeZeros(log, size, logBytes);
}

void RecordReserve::bringOutIndex()
{
    if (::access(_index.c_str(), F_OK) != 0)
        ::rename(_keptIndex.c_str(), _index.c_str());
    FileDescriptor index = open(_index, O_CREAT);
    if (!index.valid())
        return;
    if (sizeOf(index) == 0)
        withoutCopyOnWrite(index);
    // Who else has it open has the right content in it.
    if (lock(index, F_WRLCK) && !writeZeros(index, 0, indexBytes))
        return;
    if (lock(index, F_RDLCK))
        _indexLock = std::move(index);
}

void RecordReserve::putAway()
{
    const FileDescriptor index = _indexLock.valid() ? std::move(_indexLock) : open(_index, 0);
    // Who else has the index open, to read, would take the log for what it was: both stay as they are.
    if (!index.valid() || !lock(index, F_WRLCK))
        return;
    if (const FileDescriptor log = open(_log, 0); log.valid() && writeZeros(log, 0, logHeaderBytes))
        ::rename(_log.c_str(), _keptLog.c_str());
    ::rename(_index.c_str(), _keptIndex.c_str());
}

bool FreePages::release(RecordSession& writer)
{
    return writer.prepare(freeReserve).run() > 0;
}

void FreePages::take(RecordSession& writer)
{
    Statement count = writer.prepareOnce("PRAGMA freelist_count");
    if (count.step() && count.integer() < pagesWanted)
        writer.prepare(takeReserve).bind(pagesWanted * pageBytes).run();
}

} // namespace agent
