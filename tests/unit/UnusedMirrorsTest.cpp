#include "agent/run/CleanupWorker.h"

#include "tests/support/FilesFolder.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <chrono>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

namespace fs = std::filesystem;

namespace agent
{

class UnusedMirrorsTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(UnusedMirrorsTest);
    CPPUNIT_TEST(testRemovesWhatNoStageUsed);
    CPPUNIT_TEST(testKeepsForEver);
    CPPUNIT_TEST(testKeepsWhatAStageUses);
    CPPUNIT_TEST(testRemovesWhatWasSetAside);
    CPPUNIT_TEST(testLooksAgainWhenTheNextIsDue);
    CPPUNIT_TEST(testBelievesNothingThatStandsThere);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override
    {
        _files = std::make_unique<FilesFolder>();
        _lines.clear();
        fs::create_directories(mirrors());
        fs::create_directories(state() / "trash");
    }

    void testRemovesWhatNoStageUsed()
    {
        addMirror("old", "https://git.example.org/a.git", std::chrono::hours(24 * 31));
        addMirror("new", "https://git.example.org/b.git", std::chrono::hours(24 * 29));
        const CleanupWorker cleanup = made(days30);
        awaitLines(1);
        CPPUNIT_ASSERT_EQUAL(
            std::string("removed the mirror of https://git.example.org/a.git, which no stage "
                        "has used for 30 days (mirrors.keep)"),
            _lines[0]);
        CPPUNIT_ASSERT(!there("old.git") && !there("old.lock"));
        CPPUNIT_ASSERT(there("new.git/HEAD") && there("new.lock"));
    }

    void testKeepsForEver()
    {
        addMirror("old", "https://h/a", std::chrono::hours(24 * 3650));
        {
            const CleanupWorker cleanup = made(0);
        }
        CPPUNIT_ASSERT(there("old.git/HEAD"));
    }

    void testKeepsWhatAStageUses()
    {
        addMirror("used", "https://h/used", std::chrono::hours(24 * 31));
        addMirror("old", "https://h/old", std::chrono::hours(24 * 31));
        const int lock = ::open((mirrors() / "used.lock").c_str(), O_RDWR | O_CLOEXEC);
        CPPUNIT_ASSERT(::flock(lock, LOCK_EX) == 0);
        const CleanupWorker cleanup = made(days30);
        awaitLines(1);
        CPPUNIT_ASSERT(there("used.git/HEAD") && there("used.lock") && !there("old.git"));
        ::close(lock);
    }

    void testRemovesWhatWasSetAside()
    {
        addMirror("old", "https://h/a", std::chrono::hours(24 * 31));
        fs::create_directories(mirrors() / "old.1.aside/objects");
        fs::create_directories(mirrors() / "new.1.aside/objects"); // its mirror is in use
        addMirror("new", "https://h/b", std::chrono::hours(0));
        const CleanupWorker cleanup = made(days30);
        awaitLines(2);
        CPPUNIT_ASSERT(!there("old.1.aside") && there("new.1.aside"));
    }

    void testLooksAgainWhenTheNextIsDue()
    {
        addMirror("a", "https://h/a", std::chrono::hours(0));
        const CleanupWorker cleanup = made(200);
        awaitLines(1);
        addMirror("b", "https://h/b", std::chrono::hours(0));
        awaitLines(2);
        CPPUNIT_ASSERT(!there("a.git") && !there("b.git"));
    }

    /// With isolation none a stage may have put anything there.
    void testBelievesNothingThatStandsThere()
    {
        const auto old = std::chrono::hours(24 * 31);
        fs::create_directories(_files->path() / "outside/inner");
        addMirror("lines", "evil\x1b[31m\nforged: line", old);
        addMirror("link", "https://h/link", old);
        fs::remove_all(mirrors() / "link.git");
        fs::create_directory_symlink(_files->path() / "outside", mirrors() / "link.git");
        fs::create_symlink(_files->path() / "outside", mirrors() / "away.lock");
        ::mkfifo((mirrors() / "fifo.lock").c_str(), 0600);
        fs::create_directories(mirrors() / "folder.lock");
        std::ofstream(mirrors() / ".lock") << "x";
        const CleanupWorker cleanup = made(days30);
        awaitLines(2);
        for (const auto& line : _lines)
            CPPUNIT_ASSERT_MESSAGE(line, line.find('\x1b') == std::string::npos &&
                                             line.find("forged") == std::string::npos);
        CPPUNIT_ASSERT(fs::exists(_files->path() / "outside/inner"));
        CPPUNIT_ASSERT(!there("lines.git") && there("folder.lock"));
    }

private:
    static constexpr std::int64_t days30 = std::int64_t{30} * 86'400'000;

    [[nodiscard]] fs::path state() const { return _files->path() / "state"; }
    [[nodiscard]] fs::path mirrors() const { return state() / "mirrors/mirrors"; }
    [[nodiscard]] bool there(const std::string& name) const { return fs::exists(mirrors() / name); }

    void addMirror(const std::string& key, const std::string& address, std::chrono::hours age) const
    {
        fs::create_directories(mirrors() / (key + ".git"));
        std::ofstream(mirrors() / (key + ".git/HEAD")) << "ref: refs/heads/main\n";
        const fs::path lock = mirrors() / (key + ".lock");
        std::ofstream(lock) << address << "\n";
        fs::last_write_time(lock, fs::file_time_type::clock::now() - age);
    }

    CleanupWorker made(std::int64_t keepMs)
    {
        return {state(),
                [](const std::string& /*line*/) {},
                {.folders = {_files->path() / "none", mirrors()},
                 .keepMs = keepMs,
                 .tell = [this](const std::string& line)
                 {
                     const std::lock_guard lock(_mutex);
                     _lines.push_back(line);
                     _told.notify_all();
                 }}};
    }

    void awaitLines(std::size_t count)
    {
        std::unique_lock lock(_mutex);
        CPPUNIT_ASSERT(
            _told.wait_for(lock, std::chrono::seconds(30), [&] { return _lines.size() >= count; }));
    }

    std::unique_ptr<FilesFolder> _files;
    std::mutex _mutex;
    std::condition_variable _told;
    std::vector<std::string> _lines;
};

CPPUNIT_TEST_SUITE_REGISTRATION(UnusedMirrorsTest);

} // namespace agent
