// Archives of caches: what was saved is restored, and a torn, foreign or hostile one, or a hostile tree, reads and writes nothing else.
#include "tests/support/CacheRuns.h"

#include <cppunit/extensions/HelperMacros.h>

#include <atomic>
#include <thread>
#include <utility>

using namespace agent;
using namespace agent::cachetest;

class CacheArchiveTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(CacheArchiveTest);
    CPPUNIT_TEST(testWhatWasSavedIsRestored);
    CPPUNIT_TEST(testWhatIsThereStays);
    CPPUNIT_TEST(testAllPathsAreRestoredOrNone);
    CPPUNIT_TEST(testARestoreThatLastsTellsHowFarItIs);
    CPPUNIT_TEST(testTheNewestOfTheLongestBeginningIsTaken);
    CPPUNIT_TEST(testATornDamagedOrLongerArchiveRestoresNothing);
    CPPUNIT_TEST(testAnArchiveFromAnotherPlaceRestoresNothing);
    CPPUNIT_TEST(testHostileEntriesRestoreNothing);
    CPPUNIT_TEST(testSetUserBitsAreNotRestored);
    CPPUNIT_TEST(testSymlinksOfTheWorkspaceLeadNowhere);
    CPPUNIT_TEST(testWhatIsExchangedWhileItIsSavedIsNotFollowed);
    CPPUNIT_TEST(testDevicesAndPipesAreLeftOut);
    CPPUNIT_TEST(testTooMuchIsNotSavedAndLeavesNothing);
    CPPUNIT_TEST(testAKeyNeedsItsFile);
    CPPUNIT_TEST_SUITE_END();

public:
    void testWhatWasSavedIsRestored()
    {
        const Runs runs;
        const std::string odd = "a name\nwith \xff and \"";
        const std::string big(300'000, 'x');
        runs.write("workspace/deps/a/file", "content");
        runs.write("workspace/deps/a/" + odd, big);
        runs.write("workspace/deps/empty", "");
        runs.write("workspace/deps/" + std::string(200, 'n') + "/deep", "long");
        runs.write("home/.tool/state", "of the tool");
        runs.write("workspace/one", "a single file");
        const fs::path deps = runs.first() / "deps";
        fs::create_symlink("../a/file", deps / "link");
        fs::create_hard_link(deps / "a/file", deps / "again");
        ::chmod((deps / "a/file").c_str(), 0755);
        const timespec times[2] = {{.tv_sec = 1'000'000'000}, {.tv_sec = 1'000'000'000}};
        ::utimensat(AT_FDCWD, (deps / "a/file").c_str(), times, 0);
        fs::create_directory(deps / "closed");
        {
            std::ofstream sparse(deps / "sparse", std::ios::binary);
            sparse.seekp(10 << 20);
            sparse << "end";
        }
        ::chmod((deps / "closed").c_str(), 0500);
        const std::vector<std::string> paths{"deps", "~/.tool", "one", "missing/one"};
        const CacheHeader saved = runs.save("k", paths);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{7}, saved.files);
        CPPUNIT_ASSERT(fs::is_empty(runs.path() / "new"));

        const CacheUse use = runs.restore("k", paths);
        CPPUNIT_ASSERT(use.exact());
        CPPUNIT_ASSERT_EQUAL(saved.contentBytes, use.bytes);
        const fs::path back = runs.second() / "deps";
        CPPUNIT_ASSERT_EQUAL(std::string("content"), contentOf(back / "a/file"));
        CPPUNIT_ASSERT(big == contentOf(back / "a" / odd));
        CPPUNIT_ASSERT_EQUAL(std::string("long"), contentOf(back / std::string(200, 'n') / "deep"));
        CPPUNIT_ASSERT_EQUAL(std::string("../a/file"), fs::read_symlink(back / "link").string());
        CPPUNIT_ASSERT_EQUAL(std::uintmax_t{0}, fs::file_size(back / "empty"));
        CPPUNIT_ASSERT_EQUAL(mode_t{0755}, mode_t(statOf(back / "a/file").st_mode & 07777));
        CPPUNIT_ASSERT_EQUAL(time_t{1'000'000'000}, statOf(back / "a/file").st_mtim.tv_sec);
        CPPUNIT_ASSERT_EQUAL(statOf(back / "a/file").st_ino, statOf(back / "again").st_ino);
        CPPUNIT_ASSERT_EQUAL(mode_t{0500}, mode_t(statOf(back / "closed").st_mode & 07777));
        CPPUNIT_ASSERT_EQUAL(std::uintmax_t{(10 << 20) + 3}, fs::file_size(back / "sparse"));
        CPPUNIT_ASSERT(statOf(back / "sparse").st_blocks * 512 < 1 << 20);
        CPPUNIT_ASSERT_EQUAL(std::string("of the tool"),
                             contentOf(runs.path() / "second/home/.tool/state"));
        CPPUNIT_ASSERT_EQUAL(std::string("a single file"), contentOf(runs.second() / "one"));
        CPPUNIT_ASSERT(!fs::exists(runs.second() / "missing"));
        CPPUNIT_ASSERT(!fs::exists(runs.second() / caches::staging));
    }

    void testWhatIsThereStays()
    {
        const Runs runs;
        runs.write("workspace/deps/x", "old");
        runs.write("workspace/more/y", "old");
        runs.save("k", {"deps", "more"});
        fs::create_directories(runs.second() / "deps");
        std::ofstream(runs.second() / "deps/x") << "new";
        fs::create_directories(runs.second() / "more"); // an empty folder is none
        fs::create_directories(runs.second() / caches::staging / "of an attempt before");
        CPPUNIT_ASSERT(runs.restore("k", {"deps", "more"}).exact());
        CPPUNIT_ASSERT_EQUAL(std::string("new"), contentOf(runs.second() / "deps/x"));
        CPPUNIT_ASSERT_EQUAL(std::string("old"), contentOf(runs.second() / "more/y"));
        CPPUNIT_ASSERT(!fs::exists(runs.second() / caches::staging));
    }

    /// Symptom: of a cache with two paths one was restored, and the log said that nothing was. Cause: a full disk had no room for
    /// the folder above the second. Bound: the first is taken back.
    void testAllPathsAreRestoredOrNone()
    {
        const Runs runs;
        const std::string impossible = "made/" + std::string(300, 'n') + "/x";
        runs.forge("k",
                   {{"0", AE_IFDIR, "", "", 0755}, {"0/x", AE_IFREG, "x"}, {"1", AE_IFREG, "y"}},
                   {"deps", impossible});
        CPPUNIT_ASSERT_EQUAL(std::string(), runs.restore("k", {"deps", impossible}).found);
        CPPUNIT_ASSERT(!fs::exists(runs.second() / "deps"));
        CPPUNIT_ASSERT(!fs::exists(runs.second() / caches::staging));
        // One path in the other is restored with it.
        runs.write("workspace/deps/inner/x", "x");
        runs.save("inner", {"deps/inner", "deps"});
        CPPUNIT_ASSERT(runs.restore("inner", {"deps/inner", "deps"}).exact());
        CPPUNIT_ASSERT_EQUAL(std::string("x"), contentOf(runs.second() / "deps/inner/x"));
    }

    void testARestoreThatLastsTellsHowFarItIs()
    {
        const Runs runs;
        runs.write("workspace/deps/x", std::string(3'000'000, 'x'));
        runs.save("k", {"deps"});
        CachePlan plan{.workspace = runs.second().string(),
                       .home = (runs.path() / "second/home").string(),
                       .folder = (runs.path() / "caches" / service).string(),
                       .service = service,
                       .scopes = {scope},
                       .caches = {{.key = "k", .paths = {"deps"}}},
                       .tellMs = 0};
        std::vector<std::string> lines;
        cache::restoreCaches(plan, [&](const std::string& line) { lines.push_back(line); });
        CPPUNIT_ASSERT(lines.size() > 2);
        CPPUNIT_ASSERT_EQUAL(std::string("k is being restored: 0.0 MB so far"), lines.front());
        CPPUNIT_ASSERT_MESSAGE(lines.back(),
                               lines.back().starts_with("k of main restored: 3.0 MB"));
    }

    void testTheNewestOfTheLongestBeginningIsTaken()
    {
        const Runs runs;
        int at = 10;
        for (const char* key : {"npm-1-a", "npm-1-b", "npm-1-c", "npm-2-a"})
        {
            const CacheHeader header{.service = service,
                                     .scope = scope,
                                     .scopeName = "main",
                                     .key = key,
                                     .createdAt = std::string(key) == "npm-1-b" ? 100 : ++at,
                                     .paths = {"deps"}};
            runs.write("workspace/deps", key);
            cache::saveCache({.workspace = runs.first().string(),
                              .home = "/nonexistent",
                              .target = runs.archive(key).string(),
                              .temporary = (runs.path() / "new/archive").string(),
                              .header = header});
        }
        const CacheUse use = runs.restore("npm-1-x", {"deps"}, {"npm-", "npm-1-"});
        CPPUNIT_ASSERT_EQUAL(std::string("npm-1-b"), use.found);
        CPPUNIT_ASSERT(!use.exact());
        CPPUNIT_ASSERT_EQUAL(std::string("npm-1-b"), contentOf(runs.second() / "deps"));
        fs::remove(runs.second() / "deps");
        CPPUNIT_ASSERT_EQUAL(std::string(), runs.restore("pip-1", {"deps"}, {"pip-"}).found);
    }

    void testATornDamagedOrLongerArchiveRestoresNothing()
    {
        const Runs runs;
        for (int i = 0; i < 200; ++i)
            runs.write("workspace/deps/" + std::to_string(i),
                       std::string(static_cast<std::size_t>(i) * 50, static_cast<char>(i)));
        runs.save("k", {"deps"});
        const std::string whole = contentOf(runs.archive("k"));
        for (std::size_t size = 0; size < whole.size(); size += whole.size() / 40)
        {
            std::ofstream(runs.archive("k"), std::ios::binary) << whole.substr(0, size);
            runs.checkRefused("torn at " + std::to_string(size), "k");
            // The same with a beginning that says so: the frame itself is torn.
            if (size > caches::beginning)
            {
                std::ofstream(runs.archive("k"), std::ios::binary) << whole.substr(0, size);
                resize(runs.archive("k"));
                runs.checkRefused("said to be torn at " + std::to_string(size), "k");
            }
        }
        for (std::size_t at = 0; at < whole.size(); at += whole.size() / 40)
        {
            std::string damaged = whole;
            damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
            if (at >= 8 && at < caches::beginning)
                continue; // words for people among them, and blanks
            std::ofstream(runs.archive("k"), std::ios::binary) << damaged;
            if (!runs.restore("k", {"deps"}).exact())
            {
                runs.checkRefused("damaged at " + std::to_string(at), "k");
                continue;
            }
            // A bit of the frame that means nothing: the checksum is right, and so is what comes of it.
            for (int i = 0; i < 200; ++i)
                CPPUNIT_ASSERT_EQUAL(contentOf(runs.first() / "deps" / std::to_string(i)),
                                     contentOf(runs.second() / "deps" / std::to_string(i)));
            fs::remove_all(runs.second() / "deps");
        }
        std::ofstream(runs.archive("k"), std::ios::binary) << whole << "more";
        runs.checkRefused("longer", "k");
        resize(runs.archive("k"));
        runs.checkRefused("said to be longer", "k");
        std::ofstream(runs.archive("k"), std::ios::binary) << whole;
        CPPUNIT_ASSERT(runs.restore("k", {"deps"}).exact());
    }

    void testAnArchiveFromAnotherPlaceRestoresNothing()
    {
        const Runs runs;
        runs.write("workspace/deps/x", "x");
        runs.save("k", {"deps"});
        fs::copy_file(runs.archive("k"), runs.archive("other"));
        runs.checkRefused("of another key", "other");
        CacheHeader foreign = Runs::header("k", {"deps"});
        for (std::string* member : {&foreign.service, &foreign.scope})
        {
            const std::string before = std::exchange(*member, std::string(32, 'c'));
            cache::saveCache({.workspace = runs.first().string(),
                              .home = "/nonexistent",
                              .target = runs.archive("k").string(),
                              .temporary = (runs.path() / "new/archive").string(),
                              .header = foreign});
            runs.checkRefused("of another service or scope", "k");
            *member = before;
        }
        fs::remove(runs.archive("k"));
        fs::create_symlink(runs.archive("other"), runs.archive("k"));
        runs.checkRefused("a symlink", "k");
        fs::remove(runs.archive("k"));
        CPPUNIT_ASSERT_EQUAL(0, ::mkfifo(runs.archive("k").c_str(), 0600));
        runs.checkRefused("a FIFO", "k");
    }

    void testHostileEntriesRestoreNothing()
    {
        const Runs runs;
        const std::string outside = (runs.path() / "outside").string();
        const Entry folder{"0", AE_IFDIR, "", "", 0755};
        const Entry link{"0/link", AE_IFLNK, outside};
        const std::vector<std::vector<Entry>> hostile{
            {{"../../outside/x", AE_IFREG, "x"}},
            {{outside + "/x", AE_IFREG, "x"}},
            {folder, {"0/../../../../outside/x", AE_IFREG, "x"}},
            {folder, {"0/./x", AE_IFREG, "x"}},
            {folder, {"0//x", AE_IFREG, "x"}},
            {folder, {"0/..", AE_IFDIR, "", "", 0755}},
            {folder, link, {"0/link/x", AE_IFREG, "x"}},
            {folder, link, {"0/link", AE_IFREG, "x"}},
            {folder, link, {"0/link", AE_IFDIR, "", "", 0777}},
            {folder, link, {"0/link/inner", AE_IFDIR, "", "", 0777}},
            {folder, {"0/up", AE_IFLNK, "../../../.."}, {"0/up/outside/x", AE_IFREG, "x"}},
            {{"0", AE_IFLNK, outside}, {"0/x", AE_IFREG, "x"}},
            {folder, {"0/x", AE_IFREG, "", outside + "/secret"}},
            {folder, {"0/x", AE_IFREG, "", "../../../outside/secret"}},
            {folder, {"0/x", AE_IFREG, "", "0/../../../../outside/secret"}},
            {folder, link, {"0/x", AE_IFREG, "", "0/link/secret"}},
            {folder, {"0/x", AE_IFREG, "", "1/x"}},
            {folder, {"0/x", AE_IFCHR, ""}},
            {folder, {"0/x", AE_IFBLK, ""}},
            {folder, {"0/x", AE_IFIFO, ""}},
            {folder, {"0/x", AE_IFREG, "a"}, {"0/x", AE_IFREG, "b"}},
            {folder, {"0/x", AE_IFREG, "a"}, {"0/x/y", AE_IFREG, "b"}},
            {{"00", AE_IFREG, "x"}},
            {{"-1", AE_IFREG, "x"}},
            {{"1", AE_IFREG, "x"}},
            {{"99999999999999999999", AE_IFREG, "x"}},
            {{"deps/x", AE_IFREG, "x"}},
            {{"0/" + std::string(5000, 'n'), AE_IFREG, "x"}},
            {folder, {"0/" + std::string(300, 'n'), AE_IFREG, "x"}},
            {{deepName(), AE_IFREG, "x"}},
        };
        for (std::size_t i = 0; i < hostile.size(); ++i)
        {
            runs.forge("k", hostile[i]);
            runs.checkRefused("hostile archive " + std::to_string(i), "k");
        }
        runs.forge("k", {{"0", AE_IFREG, "x"}}, {"../outside/x"});
        CPPUNIT_ASSERT(!fs::exists(runs.path() / "outside/x"));
        runs.restore("k", {"../outside/x"});
        CPPUNIT_ASSERT(!fs::exists(runs.path() / "second/outside/x"));
        CPPUNIT_ASSERT(!fs::exists(runs.path() / "outside/x"));
    }

    void testSetUserBitsAreNotRestored()
    {
        const Runs runs;
        runs.forge("k", {{"0", AE_IFDIR, "", "", 07777}, {"0/x", AE_IFREG, "x", "", 07755}});
        CPPUNIT_ASSERT(runs.restore("k", {"deps"}).exact());
        CPPUNIT_ASSERT_EQUAL(mode_t{0755},
                             mode_t(statOf(runs.second() / "deps/x").st_mode & 07777));
        CPPUNIT_ASSERT_EQUAL(mode_t{0777}, mode_t(statOf(runs.second() / "deps").st_mode & 07777));
    }

    void testSymlinksOfTheWorkspaceLeadNowhere()
    {
        const Runs runs;
        runs.write("workspace/deps/x", "x");
        runs.write("workspace/a/b/x", "x");
        runs.save("k", {"deps", "a/b"});
        fs::create_symlink(runs.path() / "outside", runs.second() / "deps");
        fs::create_symlink(runs.path() / "outside", runs.second() / "a");
        runs.restore("k", {"deps", "a/b"});
        CPPUNIT_ASSERT_EQUAL((runs.path() / "outside").string(),
                             fs::read_symlink(runs.second() / "deps").string());
        CPPUNIT_ASSERT(!fs::exists(runs.path() / "outside/x"));
        CPPUNIT_ASSERT(!fs::exists(runs.path() / "outside/b"));
        // Saving: a path is the symlink, and nothing behind it.
        const CacheHeader link = [&]
        {
            fs::remove_all(runs.first() / "deps");
            fs::create_symlink(runs.path() / "outside", runs.first() / "deps");
            return runs.save("link", {"deps"});
        }();
        CPPUNIT_ASSERT_EQUAL(std::int64_t{0}, link.contentBytes);
        CPPUNIT_ASSERT_THROW(runs.save("through", {"deps/secret"}), std::runtime_error);
        CPPUNIT_ASSERT(!fs::exists(runs.archive("through")));
        CPPUNIT_ASSERT(fs::is_empty(runs.path() / "new"));
    }

    void testWhatIsExchangedWhileItIsSavedIsNotFollowed()
    {
        const Runs runs;
        runs.write("workspace/deps/folder/secret", "harmless");
        runs.write("workspace/deps/file", "harmless");
        const fs::path deps = runs.first() / "deps";
        std::atomic<bool> over = false;
        std::thread swapper(
            [&]
            {
                while (!over)
                {
                    std::error_code ignored;
                    fs::rename(deps / "folder", deps / "kept", ignored);
                    fs::create_directory_symlink(runs.path() / "outside", deps / "folder", ignored);
                    fs::remove(deps / "file", ignored);
                    fs::create_symlink(runs.path() / "outside/secret", deps / "file", ignored);
                    fs::remove(deps / "file", ignored);
                    ::mkfifo((deps / "file").c_str(), 0600);
                    fs::remove(deps / "file", ignored);
                    std::ofstream(deps / "file") << "harmless";
                    fs::remove(deps / "folder", ignored);
                    fs::rename(deps / "kept", deps / "folder", ignored);
                }
            });
        int saved = 0;
        for (int i = 0; i < 300; ++i)
            try
            {
                runs.save("k", {"deps"});
                ++saved;
                fs::remove_all(runs.second() / "deps");
                CPPUNIT_ASSERT(runs.restore("k", {"deps"}).exact());
                for (const auto& entry : fs::recursive_directory_iterator(runs.second() / "deps"))
                    if (entry.is_regular_file() && !entry.is_symlink())
                        CPPUNIT_ASSERT(contentOf(entry.path()) != "the secret");
            }
            catch (const std::runtime_error&)
            {
                CPPUNIT_ASSERT(fs::is_empty(runs.path() / "new"));
            }
        over = true;
        swapper.join();
        CPPUNIT_ASSERT(saved > 0);
    }

    void testDevicesAndPipesAreLeftOut()
    {
        const Runs runs;
        runs.write("workspace/deps/x", "x");
        CPPUNIT_ASSERT_EQUAL(0, ::mkfifo((runs.first() / "deps/pipe").c_str(), 0600));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{1}, runs.save("k", {"deps"}).files);
        CPPUNIT_ASSERT(runs.restore("k", {"deps"}).exact());
        CPPUNIT_ASSERT(!fs::exists(runs.second() / "deps/pipe"));
    }

    void testTooMuchIsNotSavedAndLeavesNothing()
    {
        const Runs runs;
        runs.write("workspace/deps/x", std::string(5000, 'x'));
        CPPUNIT_ASSERT_THROW(cache::saveCache({.workspace = runs.first().string(),
                                               .home = "/nonexistent",
                                               .target = runs.archive("k").string(),
                                               .temporary = (runs.path() / "new/a").string(),
                                               .header = Runs::header("k", {"deps"}),
                                               .mostBytes = 4999}),
                             std::runtime_error);
        CPPUNIT_ASSERT(!fs::exists(runs.archive("k")));
        CPPUNIT_ASSERT(fs::is_empty(runs.path() / "new"));
    }

    void testAKeyNeedsItsFile()
    {
        const Runs runs;
        CPPUNIT_ASSERT_EQUAL(std::string(), runs.restore("k-${sha256:lock}", {"deps"}).key);
        std::ofstream(runs.second() / "lock") << "abc";
        CPPUNIT_ASSERT_EQUAL(
            std::string("k-ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            runs.restore("k-${sha256:lock}", {"deps"}).key);
        fs::remove(runs.second() / "lock");
        fs::create_symlink(runs.path() / "outside/secret", runs.second() / "lock");
        CPPUNIT_ASSERT_EQUAL(std::string(), runs.restore("k-${sha256:lock}", {"deps"}).key);
    }

private:
    static std::string deepName()
    {
        std::string name = "0";
        for (int i = 0; i < 200; ++i)
            name += "/d";
        return name;
    }

    /// Lets the beginning say the size that the file has.
    static void resize(const fs::path& file)
    {
        CacheHeader header = Runs::header("k", {"deps"});
        header.archiveBytes = static_cast<std::int64_t>(fs::file_size(file));
        std::fstream out(file, std::ios::binary | std::ios::in | std::ios::out);
        out << beginningOf(header);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(CacheArchiveTest);
