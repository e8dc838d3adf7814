#include "agent/cache/Unpacker.h"

#include "agent/cache/Beneath.h"
#include "agent/cache/Decompressor.h"
#include "agent/model/CacheSpec.h"
#include "agent/os/Files.h"
#include "agent/wire/CacheFiles.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <vector>

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace agent::cache
{

namespace
{

constexpr std::size_t hole = 4096; ///< so many zeros are not written

[[noreturn]] void fail(const std::string& what)
{
    throw std::runtime_error(what);
}

bool isZero(const char* bytes, std::size_t size)
{
    return bytes[0] == 0 && std::memcmp(bytes, bytes + 1, size - 1) == 0;
}

using Into = std::function<std::optional<int>(std::size_t path)>;
using Progress = std::function<void(std::int64_t bytes)>;

/// Makes the entries of one archive.
class Unpacking
{
public:
    Unpacking(int file, const Into& into, const Progress& progress)
        : _source(file), _into(into), _progress(progress)
    {
        _archive.reset(archive_read_new());
        if (!_archive)
            fail("no memory for an archive");
        archive_read_support_format_tar(_archive.get());
        check(archive_read_open(_archive.get(), &_source, nullptr, &Unpacking::give, nullptr));
    }

    void run()
    {
        archive_entry* entry = nullptr;
        while (true)
        {
            const int result = archive_read_next_header(_archive.get(), &entry);
            if (result == ARCHIVE_EOF)
                break;
            check(result);
            if (++_entries > caches::entries)
                fail("has too many entries");
            _progress(_bytes);
            make(entry);
        }
        // What stands behind the end of the tar archive counts too: its checksum is the last of it.
        while (!_source.next().empty())
            ;
        for (auto folder = _folders.rbegin(); folder != _folders.rend(); ++folder)
            settle(*folder);
    }

private:
    struct Folder
    {
        int root;
        std::vector<std::string> parts;
        mode_t mode;
        timespec time;
    };

    static la_ssize_t give(archive* archive, void* source, const void** bytes)
    {
        try
        {
            const std::string_view block = static_cast<Decompressor*>(source)->next();
            *bytes = block.data();
            return static_cast<la_ssize_t>(block.size());
        }
        catch (const std::exception& error)
        {
            archive_set_error(archive, EIO, "%s", error.what());
            return -1;
        }
    }

    void check(int result)
    {
        if (result == ARCHIVE_OK || result == ARCHIVE_EOF)
            return;
        const char* why = archive_error_string(_archive.get());
        fail(why != nullptr ? why : "is no archive of ours");
    }

    /// The number of a path of the cache.
    static std::size_t numberOf(const std::string& part)
    {
        std::size_t number = 0;
        const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number);
        if (error != std::errc{} || end != part.data() + part.size() ||
            number >= cacheBounds::paths || std::to_string(number) != part)
            fail("has a name that is none of ours");
        return number;
    }

    void make(archive_entry* entry)
    {
        const char* name = archive_entry_pathname(entry);
        if (name == nullptr)
            fail("has a name that can't be read");
        std::string_view path(name);
        const auto type = archive_entry_filetype(entry);
        const char* const linked = archive_entry_hardlink(entry);
        if (type == AE_IFDIR && path.ends_with('/')) // as tar writes folders
            path.remove_suffix(1);
        auto parts = partsOf(path);
        const auto root = _into(numberOf(parts.front()));
        if (!root)
            return;
        std::vector<std::string> above(parts.begin(), parts.end() - 1);
        const int folder = enter(*root, std::move(above));
        const std::string& last = parts.back();
        const mode_t mode = archive_entry_perm(entry) & 0777;
        const timespec time{.tv_sec = archive_entry_mtime(entry), .tv_nsec = 0};
        if (linked != nullptr)
            return link(*root, parts.front(), linked, folder, last);
        if (type == AE_IFREG)
            return makeFile(folder, last, mode, time);
        if (type == AE_IFDIR)
        {
            if (::mkdirat(folder, last.c_str(), 0700) != 0)
                fail("can't be unpacked: " + systemError());
            _folders.push_back({*root, std::move(parts), mode, time});
            return;
        }
        const char* target = type == AE_IFLNK ? archive_entry_symlink(entry) : nullptr;
        if (target == nullptr)
            fail("has an entry that is neither file, folder nor symlink");
        const timespec times[2] = {time, time};
        if (::symlinkat(target, folder, last.c_str()) != 0)
            fail("can't be unpacked: " + systemError());
        (void)::utimensat(folder, last.c_str(), times, AT_SYMLINK_NOFOLLOW);
    }

    /// Opens the folder of an entry, which the one before it had mostly.
    int enter(int root, std::vector<std::string> parts)
    {
        if (_folder.valid() && _folderRoot == root && _folderParts == parts)
            return _folder.get();
        _folder = folderBeneath(root, parts);
        if (!_folder.valid())
            fail("can't be unpacked: " + systemError());
        _folderRoot = root;
        _folderParts = std::move(parts);
        return _folder.get();
    }

    static void link(int root, const std::string& number, const std::string& to, int folder,
                     const std::string& name)
    {
        auto parts = partsOf(to);
        if (parts.front() != number)
            fail("has a link that leads out of its path");
        const std::string last = std::move(parts.back());
        parts.pop_back();
        const FileDescriptor other = folderBeneath(root, parts);
        if (!other.valid() || ::linkat(other.get(), last.c_str(), folder, name.c_str(), 0) != 0)
            fail("can't be unpacked: " + systemError());
    }

    void makeFile(int folder, const std::string& name, mode_t mode, const timespec& time)
    {
        const FileDescriptor file(::openat(
            folder, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!file.valid())
            fail("can't be unpacked: " + systemError());
        const void* bytes = nullptr;
        std::size_t size = 0;
        la_int64_t offset = 0;
        la_int64_t end = 0;
        la_int64_t written = 0;
        while (true)
        {
            const int result = archive_read_data_block(_archive.get(), &bytes, &size, &offset);
            if (result == ARCHIVE_EOF)
                break;
            check(result);
            const auto length = static_cast<la_int64_t>(size);
            if (offset < end || offset > caches::contentBytes || length > caches::contentBytes)
                fail("has content that is not in order");
            _bytes += offset + length - end;
            if (_bytes > caches::contentBytes)
                fail("has too much content");
            _progress(_bytes);
            end = offset + length;
            write(file.get(), static_cast<const char*>(bytes), size, offset, written);
        }
        const timespec times[2] = {time, time};
        if ((written < end && ::ftruncate(file.get(), end) != 0) ||
            ::fchmod(file.get(), mode) != 0 || ::futimens(file.get(), times) != 0)
            fail("can't be unpacked: " + systemError());
    }

    /// Pages of zeros stay holes. `written`: the end of what is written.
    static void write(int file, const char* bytes, std::size_t size, la_int64_t offset,
                      la_int64_t& written)
    {
        while (size > 0)
        {
            std::size_t some = 0;
            while (some < size && !isZero(bytes + some, std::min(hole, size - some)))
                some += std::min(hole, size - some);
            for (std::size_t at = 0; at < some;)
            {
                const ssize_t put =
                    ::pwrite(file, bytes + at, some - at, offset + static_cast<la_int64_t>(at));
                if (put < 0 && errno == EINTR)
                    continue;
                if (put <= 0)
                    fail("can't be unpacked: " + systemError());
                at += static_cast<std::size_t>(put);
                written = offset + static_cast<la_int64_t>(at);
            }
            if (some < size)
                some += std::min(hole, size - some);
            bytes += some;
            size -= some;
            offset += static_cast<la_int64_t>(some);
        }
    }

    static void settle(const Folder& folder)
    {
        const FileDescriptor opened = folderBeneath(folder.root, folder.parts);
        const timespec times[2] = {folder.time, folder.time};
        if (!opened.valid() || ::futimens(opened.get(), times) != 0 ||
            ::fchmod(opened.get(), folder.mode) != 0)
            fail("can't be unpacked: " + systemError());
    }

    Decompressor _source;
    const Into& _into;
    const Progress& _progress;
    std::unique_ptr<archive, int (*)(archive*)> _archive{nullptr, archive_read_free};
    std::vector<Folder> _folders; ///< their own rights come last
    FileDescriptor _folder;
    int _folderRoot = -1;
    std::vector<std::string> _folderParts;
    std::int64_t _entries = 0;
    std::int64_t _bytes = 0;
};

} // namespace

void unpack(int file, const Into& into, const Progress& progress)
{
    Unpacking(file, into, progress).run();
}

} // namespace agent::cache
