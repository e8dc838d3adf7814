#include "agent/collect/ContentStore.h"

#include "agent/collect/ContentHash.h"
#include "agent/collect/NotKept.h"
#include "agent/os/Files.h"
#include "agent/wire/Failpoint.h"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace agent
{

namespace
{

/// A file of this size is read whole before anything is written: then it is known whether it has to be.
constexpr std::size_t bufferBytes = 1UL << 20;

constexpr mode_t folderMode = 0700;
constexpr mode_t contentMode = 0400;
constexpr const char* unfinished = "new";

[[noreturn]] void fail(const std::string& what)
{
    throw std::system_error(errno, std::generic_category(), what);
}

FileDescriptor folderIn(int at, const std::string& name)
{
    if (::mkdirat(at, name.c_str(), folderMode) != 0 && errno != EEXIST)
        fail("cannot make the folder " + name);
    FileDescriptor folder(
        ::openat(at, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!folder.valid())
        fail("cannot open the folder " + name);
    return folder;
}

/// `ab/ab12…`, in objects/.
std::string nameOf(const std::string& digest)
{
    return digest.substr(0, 2) + '/' + digest;
}

void empty(int folder)
{
    const int copy = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* const entries = copy < 0 ? nullptr : ::fdopendir(copy);
    if (entries == nullptr)
        fail("cannot read the set");
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(entries))
        names.emplace_back(entry->d_name);
    ::closedir(entries);
    for (const std::string& name : names)
        if (name != "." && name != "..")
            ::unlinkat(folder, name.c_str(), 0);
}

FileDescriptor newFile(int folder, const std::string& name)
{
    FileDescriptor file(::openat(
        folder, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, contentMode));
    if (!file.valid())
        fail("cannot write to the store");
    return file;
}

} // namespace

ContentStore::ContentStore(const std::string& store, const std::string& run,
                           const std::string& attempt)
    : _store(folderIn(AT_FDCWD, store)),
      _objects(folderIn(_store.get(), "objects")),
      _buffer(std::make_unique_for_overwrite<char[]>(bufferBytes))
{
    // Before the first content: on a disk that this fills, what removes it again could not make them.
    (void)folderIn(_store.get(), "trash");
    const FileDescriptor lock(
        ::openat(_store.get(), "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!lock.valid())
        fail("cannot make the store's lock");
    const FileDescriptor sets = folderIn(_store.get(), "sets");
    _set = folderIn(folderIn(sets.get(), run).get(), attempt);
    empty(_set.get());
}

std::uint64_t ContentStore::device() const
{
    struct stat status = {};
    return ::fstat(_set.get(), &status) == 0 ? status.st_dev : 0;
}

StoredContent ContentStore::add(const RegularFile& file, std::int64_t size, std::int64_t most)
{
    if (size < static_cast<std::int64_t>(bufferBytes))
        if (StoredContent content = addSmall(file, most); !content.digest.empty())
            return content;
    return addLarge(file, most);
}

/// Returns no digest where it has grown beyond the buffer.
StoredContent ContentStore::addSmall(const RegularFile& file, std::int64_t most)
{
    const std::size_t got = file.read(0, _buffer.get(), bufferBytes);
    if (got == bufferBytes)
        return {};
    if (static_cast<std::int64_t>(got) > most)
        throw NotKept("more than artifacts.max_bytes");
    const std::string_view bytes(_buffer.get(), got);
    ContentHash hash;
    hash.update(bytes);
    StoredContent content{.digest = hash.digest(), .size = static_cast<std::int64_t>(got)};
    if (!_digests.insert(content.digest).second || known(content))
        return content;
    const FileDescriptor to = newFile(_set.get(), content.digest);
    FAILPOINT("collect.write");
    if (!writeAll(to.get(), bytes))
        fail("cannot write to the store");
    return content;
}

StoredContent ContentStore::addLarge(const RegularFile& file, std::int64_t most)
{
    ::posix_fadvise(file.descriptor(), 0, 0, POSIX_FADV_SEQUENTIAL);
    ::unlinkat(_set.get(), unfinished, 0);
    const FileDescriptor to = newFile(_set.get(), unfinished);
    ContentHash hash;
    std::int64_t done = 0;
    while (true)
    {
        // Where the file has no data until its end, this says ENXIO, and the size says how much is a hole.
        off_t data = ::lseek(file.descriptor(), done, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            data = std::max<off_t>(done, static_cast<off_t>(file.size()));
        else if (data < 0)
            data = done; // a file system without holes
        if (data > most)
            throw NotKept("more than artifacts.max_bytes");
        hash.updateZeros(static_cast<std::size_t>(data - done));
        done = data;
        const std::size_t got =
            file.read(static_cast<std::uint64_t>(done), _buffer.get(), bufferBytes);
        if (got == 0)
            break;
        if (done + static_cast<std::int64_t>(got) > most)
            throw NotKept("more than artifacts.max_bytes");
        hash.update({_buffer.get(), got});
        FAILPOINT("collect.write.large");
        if (::lseek(to.get(), done, SEEK_SET) < 0 || !writeAll(to.get(), {_buffer.get(), got}))
            fail("cannot write to the store");
        done += static_cast<std::int64_t>(got);
    }
    if (::ftruncate(to.get(), done) != 0) // a hole at its end
        fail("cannot write to the store");
    StoredContent content{.digest = hash.digest(), .size = done};
    FAILPOINT("collect.rename");
    const bool mine = _digests.insert(content.digest).second && !known(content);
    if (mine && ::renameat(_set.get(), unfinished, _set.get(), content.digest.c_str()) != 0)
        fail("cannot write to the store");
    if (!mine)
        ::unlinkat(_set.get(), unfinished, 0);
    return content;
}

/// Takes the content from objects/ into the set, where it is there.
bool ContentStore::known(const StoredContent& content)
{
    struct stat status = {};
    const std::string name = nameOf(content.digest);
    if (::fstatat(_objects.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    // What is there may have been changed by a stage without a sandbox: docs/artifacts.md.
    const bool right =
        S_ISREG(status.st_mode) && status.st_size == content.size && status.st_uid == ::geteuid();
    if (right && ::linkat(_objects.get(), name.c_str(), _set.get(), content.digest.c_str(), 0) == 0)
        return true;
    if (!right || errno == EMLINK)
        _renewed.insert(content.digest);
    else if (errno != ENOENT)
        fail("cannot link in the store");
    return false;
}

void ContentStore::sync()
{
    if (::syncfs(_set.get()) != 0)
        fail("cannot bring the store to disk");
}

void ContentStore::publish()
{
    // Against a removal that has seen no other link of a content, and against another attempt that names the same one.
    const FileDescriptor lock(
        ::openat(_store.get(), "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!lock.valid() || ::flock(lock.get(), LOCK_EX) != 0)
        fail("cannot lock the store");
    for (const std::string& digest : _digests)
    {
        FAILPOINT("collect.publish");
        publish(digest);
    }
}

void ContentStore::publish(const std::string& digest)
{
    const std::string name = nameOf(digest);
    if (_renewed.contains(digest))
        ::unlinkat(_objects.get(), name.c_str(), 0);
    for (int tries = 0; tries < 2; ++tries)
    {
        if (::linkat(_set.get(), digest.c_str(), _objects.get(), name.c_str(), 0) == 0 ||
            (errno == EEXIST && shareNamed(digest, name)))
            return;
        if (errno == ENOENT)
            ::mkdirat(_objects.get(), digest.substr(0, 2).c_str(), folderMode);
    }
    fail("cannot name a content");
}

/// Where another attempt has stored the same content meanwhile: its file takes the place of ours, as the links of one
/// file are the count of those that need the name. Returns false where that can't be; the name is free then.
bool ContentStore::shareNamed(const std::string& digest, const std::string& name) const
{
    struct stat ours = {};
    struct stat named = {};
    if (::fstatat(_set.get(), digest.c_str(), &ours, AT_SYMLINK_NOFOLLOW) != 0 ||
        ::fstatat(_objects.get(), name.c_str(), &named, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    if (ours.st_ino == named.st_ino && ours.st_dev == named.st_dev)
        return true;
    ::unlinkat(_set.get(), unfinished, 0);
    if (S_ISREG(named.st_mode) && ours.st_size == named.st_size &&
        ::linkat(_objects.get(), name.c_str(), _set.get(), unfinished, 0) == 0 &&
        ::renameat(_set.get(), unfinished, _set.get(), digest.c_str()) == 0)
        return true;
    // It has no links left, or was changed.
    ::unlinkat(_objects.get(), name.c_str(), 0);
    return false;
}

} // namespace agent
