#pragma once

#include "agent/cache/CompressedFile.h"
#include "agent/cache/Restorer.h"
#include "agent/cache/Saver.h"
#include "agent/os/FileDescriptor.h"
#include "tests/support/FilesFolder.h"

#include <cppunit/TestAssert.h>

#include <archive.h>
#include <archive_entry.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace agent::cachetest
{

namespace fs = std::filesystem;

inline const std::string service(32, 'a');
inline const std::string scope(32, 'b');

inline std::string contentOf(const fs::path& file)
{
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

inline struct stat statOf(const fs::path& file)
{
    struct stat info = {};
    CPPUNIT_ASSERT_EQUAL_MESSAGE(file.string(), 0, ::lstat(file.c_str(), &info));
    return info;
}

struct Entry
{
    std::string name;
    unsigned type = AE_IFREG;
    std::string content;  ///< or a symlink's target
    std::string hardlink; ///< empty: none
    unsigned mode = 0644;
};

/// Writes an archive of what `fill` puts into it, which looks right from outside.
inline void forgeBy(const fs::path& file, CacheHeader header,
                    const std::function<void(struct archive*)>& fill)
{
    const FileDescriptor opened(::open(file.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    cache::CompressedFile compressed(opened.get());
    struct archive* tar = archive_write_new();
    archive_write_set_format_pax(tar);
    archive_write_open(
        tar, &compressed, nullptr,
        [](struct archive*, void* to, const void* bytes, std::size_t size)
        {
            static_cast<cache::CompressedFile*>(to)->write({static_cast<const char*>(bytes), size});
            return static_cast<la_ssize_t>(size);
        },
        nullptr);
    fill(tar);
    archive_write_close(tar);
    archive_write_free(tar);
    header.archiveBytes = compressed.finish();
    const std::string beginning = beginningOf(header);
    CPPUNIT_ASSERT_EQUAL(static_cast<ssize_t>(beginning.size()),
                         ::pwrite(opened.get(), beginning.data(), beginning.size(), 0));
}

/// The same of these entries, which anybody may have written.
inline void forgeAt(const fs::path& file, const CacheHeader& header,
                    const std::vector<Entry>& entries)
{
    forgeBy(file, header,
            [&](struct archive* tar)
            {
                for (const Entry& entry : entries)
                {
                    archive_entry* one = archive_entry_new();
                    archive_entry_set_pathname(one, entry.name.c_str());
                    archive_entry_set_filetype(one, entry.type);
                    archive_entry_set_perm(one, entry.mode);
                    archive_entry_set_size(one, 0);
                    if (entry.type == AE_IFLNK)
                        archive_entry_set_symlink(one, entry.content.c_str());
                    else if (!entry.hardlink.empty())
                        archive_entry_set_hardlink(one, entry.hardlink.c_str());
                    else
                        archive_entry_set_size(one, static_cast<la_int64_t>(entry.content.size()));
                    archive_write_header(tar, one);
                    if (entry.type == AE_IFREG && entry.hardlink.empty())
                        archive_write_data(tar, entry.content.data(), entry.content.size());
                    archive_entry_free(one);
                }
            });
}

/// A store, a run that saves and a run that restores.
class Runs
{
public:
    Runs()
    {
        for (const char* folder :
             {"first/workspace", "first/home", "second/workspace", "second/home", "new", "outside"})
            fs::create_directories(path() / folder);
        fs::create_directories(archive("k").parent_path());
        _folder.write("outside/secret", "the secret");
    }

    [[nodiscard]] fs::path path() const { return _folder.path(); }
    [[nodiscard]] fs::path first() const { return path() / "first/workspace"; }
    [[nodiscard]] fs::path second() const { return path() / "second/workspace"; }
    void write(const std::string& name, const std::string& text) const
    {
        _folder.write("first/" + name, text);
    }

    [[nodiscard]] fs::path archive(const std::string& key, const std::string& of = scope) const
    {
        return path() / "caches" / service / of / (key + ".cache");
    }

    [[nodiscard]] static CacheHeader header(const std::string& key,
                                            const std::vector<std::string>& paths)
    {
        return {.service = service,
                .scope = scope,
                .serviceName = "payment",
                .scopeName = "main",
                .key = key,
                .createdAt = 1,
                .paths = paths};
    }

    CacheHeader save(const std::string& key, const std::vector<std::string>& paths) const
    {
        return cache::saveCache({.workspace = first().string(),
                                 .home = (path() / "first/home").string(),
                                 .target = archive(key).string(),
                                 .temporary = (path() / "new/archive").string(),
                                 .header = header(key, paths)});
    }

    CacheUse restore(const std::string& key, const std::vector<std::string>& paths,
                     const std::vector<std::string>& beginnings = {}) const
    {
        const CachePlan plan{.workspace = second().string(),
                             .home = (path() / "second/home").string(),
                             .folder = (path() / "caches" / service).string(),
                             .service = service,
                             .scopes = {scope},
                             .caches = {{.key = key, .restore = beginnings, .paths = paths}}};
        return cache::restoreCaches(plan, [](const std::string&) {}).front();
    }

    /// An archive that looks right from outside, of what anybody may have written.
    void forge(const std::string& key, const std::vector<Entry>& entries,
               const std::vector<std::string>& paths = {"deps"}) const
    {
        forgeAt(archive(key), header(key, paths), entries);
    }

    /// Nothing was restored, nothing is left, and nothing outside was touched.
    void checkRefused(const std::string& what, const std::string& key) const
    {
        CPPUNIT_ASSERT_EQUAL_MESSAGE(what, std::string(), restore(key, {"deps"}).found);
        CPPUNIT_ASSERT_MESSAGE(what, fs::is_empty(second()));
        CPPUNIT_ASSERT_MESSAGE(what, fs::is_empty(path() / "second/home"));
        CPPUNIT_ASSERT_EQUAL_MESSAGE(what, std::string("the secret"),
                                     contentOf(path() / "outside/secret"));
        std::size_t outside = 0;
        for (const auto& entry : fs::directory_iterator(path() / "outside"))
            outside += entry.exists() ? 1 : 0;
        CPPUNIT_ASSERT_EQUAL_MESSAGE(what, std::size_t{1}, outside);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(what, nlink_t{1}, statOf(path() / "outside/secret").st_nlink);
    }

private:
    FilesFolder _folder;
};

} // namespace agent::cachetest
