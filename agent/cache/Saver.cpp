#include "agent/cache/Saver.h"

#include "agent/cache/Beneath.h"
#include "agent/cache/CompressedFile.h"
#include "agent/wire/Failpoint.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <stdexcept>
#include <utility>

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace agent::cache
{

namespace
{

[[noreturn]] void fail(const std::string& what)
{
    throw std::runtime_error(what);
}

/// A name for people: it may hold anything.
std::string shown(const std::string& name)
{
    std::string text;
    for (const char c : name)
        text += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    return "'" + text + "'";
}

/// Writes trees to an archive, entry by entry.
class TreeWriter
{
public:
    TreeWriter(CompressedFile& file, std::int64_t mostBytes)
        : _file(file), _mostBytes(mostBytes), _buffer(std::size_t{256} << 10)
    {
        _archive.reset(archive_write_new());
        _entry.reset(archive_entry_new());
        if (!_archive || !_entry)
            fail("no memory for an archive");
        archive_write_set_format_pax_restricted(_archive.get());
        // Names are bytes, whatever they mean.
        archive_write_set_options(_archive.get(), "hdrcharset=BINARY");
        archive_write_set_bytes_per_block(_archive.get(), 1 << 20);
        archive_write_set_bytes_in_last_block(_archive.get(), 1);
        check(archive_write_open(_archive.get(), &_file, nullptr, &TreeWriter::take, nullptr));
    }

    /// Writes what stands at `path` below `root` as `name`, if there is anything.
    void add(int root, const std::string& path, const std::string& name)
    {
        auto parts = partsOf(path);
        const std::string last = std::move(parts.back());
        parts.pop_back();
        const FileDescriptor folder = folderBeneath(root, parts);
        if (!folder.valid())
        {
            if (errno == ENOENT)
                return;
            fail(shown(path) + " can't be reached: " + systemError());
        }
        _links.clear();
        struct stat info = {};
        if (::fstat(folder.get(), &info) != 0)
            fail(systemError());
        _device = info.st_dev;
        addName(folder.get(), {last, DT_UNKNOWN}, name, 1);
    }

    void finish() { check(archive_write_close(_archive.get())); }

    [[nodiscard]] std::int64_t files() const { return _files; }
    [[nodiscard]] std::int64_t bytes() const { return _bytes; }

private:
    struct Name
    {
        std::string text;
        unsigned char type; ///< as the folder tells it, which spares a call for each file
    };

    static la_ssize_t take(archive* archive, void* file, const void* bytes, std::size_t size)
    {
        try
        {
            static_cast<CompressedFile*>(file)->write({static_cast<const char*>(bytes), size});
            return static_cast<la_ssize_t>(size);
        }
        catch (const std::exception& error)
        {
            archive_set_error(archive, EIO, "%s", error.what());
            return -1;
        }
    }

    void check(int result)
    {
        if (result < ARCHIVE_WARN)
        {
            const char* why = archive_error_string(_archive.get());
            fail(why != nullptr ? why : "can't write the archive: " + systemError());
        }
    }

    void addName(int folder, const Name& name, const std::string& path, std::size_t depth)
    {
        if (path.size() > caches::nameBytes || depth > caches::depth)
            fail(shown(path) + " is too long or too deep");
        if (name.type == DT_REG)
            return addFile(folder, name.text, path);
        if (name.type == DT_DIR)
            return addFolder(folder, name.text, path, depth);
        struct stat info = {};
        if (::fstatat(folder, name.text.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
        {
            if (errno == ENOENT && depth == 1)
                return;
            fail(shown(path) + " can't be read: " + systemError());
        }
        if (S_ISREG(info.st_mode))
            addFile(folder, name.text, path);
        else if (S_ISDIR(info.st_mode))
            addFolder(folder, name.text, path, depth);
        else if (S_ISLNK(info.st_mode))
            addLink(folder, name.text, path, info);
    }

    void begin(const std::string& path, const struct stat& info, unsigned type)
    {
        if (++_entries > caches::entries)
            fail("it has more than " + std::to_string(caches::entries) + " entries");
        archive_entry_clear(_entry.get());
        archive_entry_copy_pathname(_entry.get(), path.c_str());
        archive_entry_set_filetype(_entry.get(), type);
        archive_entry_set_perm(_entry.get(), info.st_mode & 0777);
        archive_entry_set_mtime(_entry.get(), info.st_mtim.tv_sec, 0);
        archive_entry_set_size(_entry.get(), 0);
    }

    void addLink(int folder, const std::string& name, const std::string& path,
                 const struct stat& info)
    {
        std::string target(caches::nameBytes + 1, '\0');
        const ssize_t size = ::readlinkat(folder, name.c_str(), target.data(), target.size());
        if (size <= 0 || static_cast<std::size_t>(size) > caches::nameBytes)
            fail(shown(path) + " can't be read");
        target.resize(static_cast<std::size_t>(size));
        begin(path, info, AE_IFLNK);
        archive_entry_copy_symlink(_entry.get(), target.c_str());
        check(archive_write_header(_archive.get(), _entry.get()));
    }

    void addFolder(int folder, const std::string& name, const std::string& path, std::size_t depth)
    {
        const FileDescriptor opened(::openat(
            folder, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
        struct stat info = {};
        if (!opened.valid() || ::fstat(opened.get(), &info) != 0)
            fail(shown(path) + " can't be read: " + systemError());
        if (info.st_dev != _device)
            fail(shown(path) + " is of another file system");
        begin(path, info, AE_IFDIR);
        check(archive_write_header(_archive.get(), _entry.get()));
        for (const Name& inner : namesIn(opened.get(), path))
            addName(opened.get(), inner, std::string(path).append("/").append(inner.text),
                    depth + 1);
    }

    static std::vector<Name> namesIn(int folder, const std::string& path)
    {
        const int copy = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const std::unique_ptr<DIR, int (*)(DIR*)> entries(copy < 0 ? nullptr : ::fdopendir(copy),
                                                          ::closedir);
        if (!entries)
            fail(shown(path) + " can't be read: " + systemError());
        std::vector<Name> names;
        while (const dirent* entry = ::readdir(entries.get()))
            if (std::string name = entry->d_name; name != "." && name != "..")
            {
                names.push_back({std::move(name), entry->d_type});
                if (names.size() > static_cast<std::size_t>(caches::entries))
                    fail("it has more than " + std::to_string(caches::entries) + " entries");
            }
        std::sort(names.begin(), names.end(),
                  [](const Name& a, const Name& b) { return a.text < b.text; });
        return names;
    }

    void addFile(int folder, const std::string& name, const std::string& path)
    {
        // What was a file a moment ago may be a FIFO now.
        const FileDescriptor file(
            ::openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
        struct stat info = {};
        if (!file.valid() || ::fstat(file.get(), &info) != 0)
            fail(shown(path) + " can't be read: " + systemError());
        if (!S_ISREG(info.st_mode) || info.st_dev != _device)
            fail(shown(path) + " changes while it is read");
        begin(path, info, AE_IFREG);
        if (info.st_nlink > 1)
            if (const auto [first, fresh] = _links.try_emplace(info.st_ino, path); !fresh)
            {
                archive_entry_copy_hardlink(_entry.get(), first->second.c_str());
                return check(archive_write_header(_archive.get(), _entry.get()));
            }
        ++_files;
        _bytes += info.st_size;
        if (_bytes > _mostBytes)
            fail("it has more than " + std::to_string(_mostBytes) + " bytes");
        archive_entry_set_size(_entry.get(), info.st_size);
        check(archive_write_header(_archive.get(), _entry.get()));
        copy(file.get(), info.st_size, path);
    }

    void copy(int file, std::int64_t size, const std::string& path)
    {
        for (std::int64_t left = size; left > 0;)
        {
            const auto wanted = static_cast<std::size_t>(
                std::min<std::int64_t>(left, static_cast<std::int64_t>(_buffer.size())));
            const ssize_t got = ::read(file, _buffer.data(), wanted);
            if (got < 0 && errno == EINTR)
                continue;
            if (got <= 0)
                fail(shown(path) + " changes while it is read");
            if (archive_write_data(_archive.get(), _buffer.data(), static_cast<std::size_t>(got)) !=
                got)
                check(ARCHIVE_FATAL);
            left -= got;
        }
        char more = 0;
        if (::read(file, &more, 1) > 0)
            fail(shown(path) + " changes while it is read");
    }

    CompressedFile& _file;
    const std::int64_t _mostBytes;
    std::vector<char> _buffer;
    std::unique_ptr<archive_entry, void (*)(archive_entry*)> _entry{nullptr, archive_entry_free};
    std::unique_ptr<archive, int (*)(archive*)> _archive{nullptr, archive_write_free};
    std::map<ino_t, std::string> _links; ///< of the path at work
    dev_t _device = 0;
    std::int64_t _entries = 0;
    std::int64_t _files = 0;
    std::int64_t _bytes = 0;
};

/// Removes what was not finished.
struct Temporary
{
    std::string path;
    bool kept = false;

    ~Temporary()
    {
        if (!kept)
            ::unlink(path.c_str());
    }
};

/// Whether the folder that was read still stands there: what is deleted is moved away first.
bool standsAt(const FileDescriptor& folder, const std::string& path)
{
    struct stat held = {};
    struct stat there = {};
    return !folder.valid() ||
           (::fstat(folder.get(), &held) == 0 && ::lstat(path.c_str(), &there) == 0 &&
            held.st_ino == there.st_ino && held.st_dev == there.st_dev);
}

} // namespace

CacheHeader saveCache(const CacheSave& save)
{
    const FileDescriptor workspace = openFolder(save.workspace);
    const FileDescriptor home = openFolder(save.home); // may be none
    if (!workspace.valid())
        fail("the workspace can't be opened: " + systemError());
    const FileDescriptor file(
        ::open(save.temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file.valid())
        fail("can't make " + save.temporary + ": " + systemError());
    Temporary temporary{.path = save.temporary};
    CacheHeader header = save.header;
    FAILPOINT("cache.save");
    {
        CompressedFile compressed(file.get());
        TreeWriter writer(compressed, save.mostBytes);
        for (std::size_t i = 0; i < header.paths.size(); ++i)
        {
            const std::string& path = header.paths[i];
            const bool inHome = path.starts_with("~/");
            if (!inHome || home.valid())
                writer.add(inHome ? home.get() : workspace.get(), inHome ? path.substr(2) : path,
                           std::to_string(i));
        }
        writer.finish();
        header.files = writer.files();
        header.contentBytes = writer.bytes();
        header.archiveBytes = compressed.finish();
    }
    const std::string beginning = beginningOf(header);
    if (::pwrite(file.get(), beginning.data(), beginning.size(), 0) !=
            static_cast<ssize_t>(beginning.size()) ||
        ::fsync(file.get()) != 0)
        fail("can't write the archive: " + systemError());
    FAILPOINT("cache.written");
    if (!standsAt(workspace, save.workspace) || !standsAt(home, save.home))
        fail("the run was deleted meanwhile");
    if (::rename(save.temporary.c_str(), save.target.c_str()) != 0)
        fail("can't rename the archive: " + systemError());
    temporary.kept = true;
    FAILPOINT("cache.renamed");
    const FileDescriptor folder = openFolder(save.target.substr(0, save.target.rfind('/')));
    if (!folder.valid() || ::fsync(folder.get()) != 0)
        fail("can't sync the folder of the archive: " + systemError());
    return header;
}

} // namespace agent::cache
