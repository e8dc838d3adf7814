// Archives of caches as a stage without a sandbox, or a damaged disk, could leave them, restored by the whole product: each run ends, and
// nothing outside of its workspace is read or written. docs/caches.md, "Restoring".
#include "agent/wire/CacheFiles.h"
#include "tests/support/CacheRuns.h"
#include "tests/support/CanSandbox.h"
#include "tests/support/Daemon.h"

#include <cppunit/extensions/HelperMacros.h>

#include <functional>
#include <memory>

using agent::CacheHeader;
using agent::FileDescriptor;
using agent::cachetest::Entry;
using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::waitFor;

namespace fs = std::filesystem;

namespace
{

/// An archive, and what of it becomes the workspace's.
struct Hostile
{
    std::string what;
    std::vector<Entry> entries;
    bool restored = false; ///< its harmless part; else it is a miss
};

std::string deepName()
{
    std::string name = "0";
    for (int i = 0; i < 200; ++i)
        name += "/d";
    return name;
}

/// A file with a name of 4,096 bytes, and the folders above it.
std::vector<Entry> longName()
{
    constexpr std::size_t most = 4096;
    std::vector<Entry> entries;
    std::string name = "0";
    while (name.size() < most)
    {
        entries.push_back({name, AE_IFDIR, "", "", 0755});
        name += "/" + std::string(std::min<std::size_t>(200, most - name.size() - 1), 'n');
    }
    entries.push_back({name, AE_IFREG, "x"});
    return entries;
}

/// Forty of them. `outside`: a folder that the stage may write to, with a file `secret`.
std::vector<Hostile> fortyArchives(const std::string& outside)
{
    const Entry folder{"0", AE_IFDIR, "", "", 0755};
    const Entry link{"0/link", AE_IFLNK, outside};
    const auto file = [](const std::string& name) { return Entry{name, AE_IFREG, "x"}; };
    const auto hardlink = [](const std::string& to) { return Entry{"0/x", AE_IFREG, "", to}; };
    return {
        {"a name that climbs", {file("../../outside/x")}},
        {"an absolute name", {file(outside + "/x")}},
        {"a name that climbs out of its path", {folder, file("0/../../../../outside/x")}},
        {"a name with a dot", {folder, file("0/./x")}},
        {"a name with an empty part", {folder, file("0//x")}},
        {"a folder called ..", {folder, {"0/..", AE_IFDIR, "", "", 0755}}},
        {"a file through a symlink", {folder, link, file("0/link/x")}},
        {"a file in place of a symlink", {folder, link, file("0/link")}},
        {"a folder in place of a symlink", {folder, link, {"0/link", AE_IFDIR, "", "", 0777}}},
        {"a folder through a symlink", {folder, link, {"0/link/in", AE_IFDIR, "", "", 0777}}},
        {"a file through a symlink upwards",
         {folder, {"0/up", AE_IFLNK, "../../../.."}, file("0/up/outside/x")}},
        {"the path itself a symlink", {{"0", AE_IFLNK, outside}, file("0/x")}},
        {"symlinks of symlinks",
         {folder, {"0/a", AE_IFLNK, "b"}, {"0/b", AE_IFLNK, outside}, file("0/a/x")}},
        {"a hard link to an absolute name", {folder, hardlink(outside + "/secret")}},
        {"a hard link that climbs", {folder, hardlink("../../../outside/secret")}},
        {"a hard link that climbs out of its path",
         {folder, hardlink("0/../../../../outside/secret")}},
        {"a hard link through a symlink", {folder, link, hardlink("0/link/secret")}},
        {"a hard link to a symlink",
         {folder, {"0/s", AE_IFLNK, outside + "/secret"}, hardlink("0/s/x")}},
        {"a hard link to another path", {folder, hardlink("1/x")}},
        {"a hard link to what is not there", {folder, hardlink("0/none")}},
        {"a character device", {folder, {"0/x", AE_IFCHR, ""}}},
        {"a block device", {folder, {"0/x", AE_IFBLK, ""}}},
        {"a FIFO", {folder, {"0/x", AE_IFIFO, ""}}},
        {"a file twice", {folder, file("0/x"), file("0/x")}},
        {"a folder where a file is", {folder, file("0/x"), file("0/x/y")}},
        {"a number with a zero before it", {file("00")}},
        {"a negative number", {file("-1")}},
        {"a path that the cache has not", {file("7")}},
        {"a number beyond all", {file("99999999999999999999")}},
        {"no number", {file("deps/x")}},
        {"a name of 5,000 bytes", {folder, file("0/" + std::string(5000, 'n'))}},
        {"a part of 300 bytes", {folder, file("0/" + std::string(300, 'n'))}},
        {"200 folders", {{deepName(), AE_IFREG, "x"}}},
        {"a name for a program's pipe", {folder, {"0/x", AE_IFIFO, ""}, file("0/y")}},
        {"set-user and sticky bits",
         {{"0", AE_IFDIR, "", "", 07777}, {"0/x", AE_IFREG, "x", "", 06755}},
         true},
        {"names with line ends and escapes",
         {folder, file("0/a\nb"), file("0/\033[31m"), file("0/-rf"), file("0/\xff\xfe")},
         true},
        {"a symlink out of it, as tools make them",
         {folder, {"0/x", AE_IFREG, "x"}, {"0/out", AE_IFLNK, outside + "/secret"}},
         true},
        {"a path of 4,096 bytes", longName(), true},
        {"the staging folder's own name",
         {folder, file(std::string("0/") + agent::caches::staging)},
         true},
        {"many holes", {folder, {"0/x", AE_IFREG, std::string(32 << 20, '\0')}}, true},
    };
}

} // namespace

class HostileCachesTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(HostileCachesTest);
    CPPUNIT_TEST(testLeadNowhere);
    CPPUNIT_TEST(testLeadNowhereInASandbox);
    CPPUNIT_TEST(testBombsEnd);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { _daemon = std::make_unique<Daemon>(); }

    void testLeadNowhere() { playForty("none"); }

    void testLeadNowhereInASandbox()
    {
        if (agent::test::canSandbox())
            playForty("sandbox");
    }

    /// What says little and means much: a window beyond all, frames that hold nothing, more content than a cache may have.
    void testBombsEnd()
    {
        start("none");
        const fs::path archive = saved();
        const CacheHeader header = headerOf(archive);
        const auto settle = [&]
        {
            waitFor("the end of the save",
                    [&] { return fs::is_empty(_daemon->state() / "caches/pending"); });
        };
        const std::vector<std::string> frames{
            // A frame that wants a window of 2 GiB.
            std::string("\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00", 9),
            // Skippable frames and nothing else.
            std::string("\x50\x2a\x4d\x18\x04\x00\x00\x00zzzz", 12),
            // One that ends in its header.
            std::string("\x28\xb5\x2f\xfd", 4),
            std::string(1 << 20, '\0'),
        };
        for (const std::string& frame : frames)
        {
            settle();
            std::ofstream out(archive, std::ios::binary | std::ios::trunc);
            CacheHeader said = header;
            said.archiveBytes = static_cast<std::int64_t>(agent::caches::beginning + frame.size());
            out << beginningOf(said) << frame;
            out.close();
            CPPUNIT_ASSERT_EQUAL(std::string(), restored("a hostile frame"));
        }
        // 12 GiB of zeros, which are more than a cache may have.
        settle();
        forge(archive, header,
              [](archive_entry* entry, struct archive* tar)
              {
                  constexpr la_int64_t size = la_int64_t{12} << 30;
                  archive_entry_set_size(entry, size);
                  archive_entry_sparse_add_entry(entry, 0, 1);
                  archive_entry_sparse_add_entry(entry, size - 1, 1);
                  archive_write_header(tar, entry);
                  archive_write_data(tar, "x", 1);
              });
        CPPUNIT_ASSERT_EQUAL(std::string(), restored("12 GiB of holes"));
    }

private:
    void playForty(const std::string& isolation)
    {
        start(isolation);
        const fs::path archive = saved();
        const CacheHeader header = headerOf(archive);
        const auto all = fortyArchives((_daemon->folder() / "outside").string());
        CPPUNIT_ASSERT_EQUAL(std::size_t{40}, all.size());
        for (const Hostile& hostile : all)
        {
            // What the run before may save would take its place.
            waitFor("the end of the save",
                    [&] { return fs::is_empty(_daemon->state() / "caches/pending"); });
            write(archive, header, hostile.entries);
            const std::string left = restored(hostile.what);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(hostile.what + " left " + left, hostile.restored,
                                         !left.empty());
            CPPUNIT_ASSERT_EQUAL_MESSAGE(hostile.what, std::string::npos, left.find("the secret"));
            assertOutsideUntouched(hostile.what);
        }
    }

    void start(const std::string& isolation)
    {
        if (isolation == "sandbox")
            _daemon->sandbox(); // the folder that is outside can be written to from there
        fs::create_directories(_daemon->folder() / "outside");
        std::ofstream(_daemon->folder() / "outside/secret") << "the secret";
        // What the command finds in the workspace before it does anything: kinds, modes, names, contents of files.
        _daemon->writeService(
            "app",
            "name: app\nisolation: " + isolation + "\n" +
                "env: {TELL: /dev/null}\nstages:\n"
                "  - type: BUILD\n    plugin: shell\n    with:\n      command: |\n"
                "        find . -mindepth 1 -printf '%y %m %f\\n' | cut -c1-200 >$TELL || :\n"
                "        find . -type f -size -9k -exec cat {} + >>$TELL || :\n"
                "        [ -e deps ] || { mkdir deps; echo mine >deps/x; }\n"
                "    cache: [{key: k, paths: [deps]}]\n");
        _daemon->set("workspace.keep", "1s"); // the deep ones go as well
        _daemon->start();
    }

    /// Has a run save the cache. Returns its archive.
    fs::path saved()
    {
        const std::string id = _daemon->submitService("app");
        _daemon->waitForRun(id, "SUCCESS");
        fs::path found;
        waitFor("the cache",
                [&]
                {
                    for (const auto& entry :
                         fs::recursive_directory_iterator(_daemon->state() / "caches"))
                        if (entry.path().extension() == ".cache")
                            found = entry.path();
                    return !found.empty();
                });
        return found;
    }

    static CacheHeader headerOf(const fs::path& archive)
    {
        const FileDescriptor file(::open(archive.c_str(), O_RDONLY | O_CLOEXEC));
        const auto header = agent::cacheHeaderOf(file.get());
        CPPUNIT_ASSERT(header.has_value());
        return *header;
    }

    /// Returns what a run that restores it finds, which must end well and in time; empty: nothing.
    std::string restored(const std::string& what)
    {
        const fs::path tell = _daemon->folder() / "tell";
        fs::remove(tell);
        const auto made = _daemon->post("/api/runs", R"({"service":"app","env":{"TELL":")" +
                                                         tell.string() + "\"}}");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(what + made.body, 201, made.status);
        const std::string id = made.json()["id"].GetString();
        waitFor("the end with " + what, [&] { return _daemon->statusOf(id) == "SUCCESS"; });
        CPPUNIT_ASSERT_MESSAGE(what, fs::exists(tell));
        const std::string log = _daemon->log(_daemon->stagesOf(id)[0]);
        const std::string found = contentOf(tell);
        CPPUNIT_ASSERT_MESSAGE(what + ": " + log + found,
                               found.empty() == (log.find(" files in ") == std::string::npos));
        for (const char* never : {"s 4", "s 6", "f 4755", "f 6755", "p ", "c ", "b "})
            CPPUNIT_ASSERT_MESSAGE(what + ": " + found,
                                   ("\n" + found).find("\n" + std::string(never)) ==
                                       std::string::npos);
        return found;
    }

    void assertOutsideUntouched(const std::string& what) const
    {
        const fs::path outside = _daemon->folder() / "outside";
        std::size_t count = 0;
        for (const auto& entry : fs::directory_iterator(outside))
            count += entry.exists() ? 1 : 0;
        CPPUNIT_ASSERT_EQUAL_MESSAGE(what, std::size_t{1}, count);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(what, std::string("the secret"),
                                     contentOf(outside / "secret"));
        CPPUNIT_ASSERT_EQUAL_MESSAGE(what, std::uintmax_t{1},
                                     fs::hard_link_count(outside / "secret"));
        for (const char* place : {"x", "outside/x", "state/x", "state/caches/x"})
            CPPUNIT_ASSERT_MESSAGE(what, !fs::exists(_daemon->folder() / place));
    }

    static void write(const fs::path& archive, const CacheHeader& header,
                      const std::vector<Entry>& entries)
    {
        fs::remove(archive);
        agent::cachetest::forgeAt(archive, header, entries);
    }

    /// One with a single file, whose entry and content `fill` makes.
    static void forge(const fs::path& archive, const CacheHeader& header,
                      const std::function<void(archive_entry*, struct archive*)>& fill)
    {
        fs::remove(archive);
        agent::cachetest::forgeBy(archive, header,
                                  [&](struct archive* tar)
                                  {
                                      archive_entry* entry = archive_entry_new();
                                      archive_entry_set_pathname(entry, "0");
                                      archive_entry_set_filetype(entry, AE_IFREG);
                                      archive_entry_set_perm(entry, 0644);
                                      fill(entry, tar);
                                      archive_entry_free(entry);
                                  });
    }

    std::unique_ptr<Daemon> _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(HostileCachesTest);
