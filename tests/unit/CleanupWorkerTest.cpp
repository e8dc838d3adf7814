#include "agent/run/CleanupWorker.h"
#include "tests/support/SmallDisk.h"
#include "tests/support/WrittenLog.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <chrono>
#include <fcntl.h>
#include <functional>
#include <sys/file.h>
#include <sys/stat.h>
#include <thread>

namespace agent
{

namespace
{

namespace fs = std::filesystem;

void eventually(const std::string& what, const std::function<bool()>& condition)
{
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!condition())
    {
        CPPUNIT_ASSERT_MESSAGE("waited too long for " + what,
                               std::chrono::steady_clock::now() < end);
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
}

/// When something in the folder was made or removed for the last time.
std::int64_t changed(const fs::path& folder)
{
    struct stat status = {};
    CPPUNIT_ASSERT_EQUAL(0, ::stat(folder.c_str(), &status));
    return std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
}

/// A state folder as far as a cleanup worker cares.
struct State
{
    explicit State(fs::path folder) : path(std::move(folder))
    {
        fs::create_directories(path / "trash");
    }

    /// An attempt with a log of `size` bytes that nothing can compress.
    fs::path attempt(const std::string& stage, int number, std::size_t size = 1000) const
    {
        fs::path folder = path / stage / std::to_string(number);
        fs::create_directories(folder);
        std::ofstream log(folder / "log", std::ios::binary);
        std::uint64_t noise = 88172645463325252U;
        for (std::size_t i = 0; i < size; ++i)
        {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            log << static_cast<char>(noise);
        }
        return folder;
    }

    fs::path path;
};

} // namespace

class CleanupWorkerTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(CleanupWorkerTest);
    CPPUNIT_TEST(testRemovesWhatItIsGiven);
    CPPUNIT_TEST(testBeginsWithWhatAnEarlierOneLeft);
    CPPUNIT_TEST(testASymlinkAboveStaysInside);
    CPPUNIT_TEST(testCompressesTheLogsOfAllAttempts);
    CPPUNIT_TEST(testCompressedLogKeepsItsTime);
    CPPUNIT_TEST(testCompressesNothingBehindASymlink);
    CPPUNIT_TEST(testLeavesTheLogOfALivingShim);
    CPPUNIT_TEST(testAFullDiskLeavesTheLogAndIsTriedAgain);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override
    {
        _files = std::make_unique<FilesFolder>();
        _told.clear();
    }

    void testRemovesWhatItIsGiven()
    {
        // With a slash at the end, as a person may write state.dir.
        const State state(_files->path() / "state/");
        const fs::path run = state.path / "runs/ab/run";
        fs::create_directories(run / "workspace/deep/deeper");
        CleanupWorker cleanup = made(state);
        cleanup.discard(state.path / "runs/ab/missing");
        cleanup.discard(state.path / "runs/zz/missing");
        cleanup.discard(run);
        CPPUNIT_ASSERT(!fs::exists(run)); // at once
        eventually("the trash to be empty", [&] { return fs::is_empty(state.path / "trash"); });
        CPPUNIT_ASSERT(reported().empty());
    }

    void testBeginsWithWhatAnEarlierOneLeft()
    {
        const State state(_files->path() / "state");
        fs::create_directories(state.path / "trash/left/over");
        const CleanupWorker cleanup = made(state);
        eventually("the trash to be empty", [&] { return fs::is_empty(state.path / "trash"); });
    }

    void testASymlinkAboveStaysInside()
    {
        const State state(_files->path() / "state");
        const fs::path outside = _files->path() / "outside";
        fs::create_directories(outside / "run/workspace");
        fs::create_directories(state.path / "runs");
        fs::create_directory_symlink(outside, state.path / "runs/ab");
        {
            CleanupWorker cleanup = made(state);
            cleanup.discard(state.path / "runs/ab/run");
            cleanup.discard(state.path / "runs/ab/run");
        }
        CPPUNIT_ASSERT(fs::exists(outside / "run/workspace"));
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), reported().size()); // once
        CPPUNIT_ASSERT(reported()[0].find("runs/ab/run") != std::string::npos);
    }

    void testCompressesTheLogsOfAllAttempts()
    {
        const State state(_files->path() / "state");
        const fs::path first = state.attempt("runs/ab/run/0-BUILD", 1);
        const fs::path second = state.attempt("runs/ab/run/0-BUILD", 2);
        const std::string log = contentOf(first / "log");
        CleanupWorker cleanup = made(state);
        cleanup.compressLogs(first.parent_path(), 3); // the third never began
        for (const auto& attempt : {first, second})
        {
            eventually("the log to go", [&] { return !fs::exists(attempt / "log"); });
            LogReader reader = LogReader::open(attempt).value();
            CPPUNIT_ASSERT(log == textOf(reader));
            CPPUNIT_ASSERT(!fs::exists(attempt / "log.zst.new"));
        }
        CPPUNIT_ASSERT(reported().empty());
    }

    /// Without an index, all lines have the time when the log was last written.
    void testCompressedLogKeepsItsTime()
    {
        const State state(_files->path() / "state");
        const fs::path attempt = state.attempt("runs/ab/run/0-BUILD", 1);
        const timespec times[]{{.tv_sec = 1'000'000, .tv_nsec = 5'000},
                               {.tv_sec = 1'000'000, .tv_nsec = 5'000}};
        CPPUNIT_ASSERT_EQUAL(0, ::utimensat(AT_FDCWD, (attempt / "log").c_str(), times, 0));
        const auto before = LogReader::open(attempt).value().lines(0, 1);
        CleanupWorker cleanup = made(state);
        cleanup.compressLogs(attempt.parent_path(), 1);
        eventually("the log to go", [&] { return !fs::exists(attempt / "log"); });
        CPPUNIT_ASSERT_EQUAL(before[0].timeMs,
                             LogReader::open(attempt).value().lines(0, 1)[0].timeMs);
    }

    void testCompressesNothingBehindASymlink()
    {
        const State state(_files->path() / "state");
        const State outside(_files->path() / "outside");
        const fs::path foreign = outside.attempt("0-BUILD", 1);
        fs::create_directories(state.path / "runs/ab/run");
        fs::create_directory_symlink(foreign.parent_path(), state.path / "runs/ab/run/0-BUILD");
        const fs::path own = state.attempt("runs/ab/run/1-OTHER", 1);
        CleanupWorker cleanup = made(state);
        cleanup.compressLogs(state.path / "runs/ab/run/0-BUILD", 1);
        cleanup.compressLogs(own.parent_path(), 1);
        eventually("the second log to go", [&] { return !fs::exists(own / "log"); });
        CPPUNIT_ASSERT(fs::exists(foreign / "log"));
        CPPUNIT_ASSERT(!fs::exists(foreign / "log.zst"));
    }

    void testLeavesTheLogOfALivingShim()
    {
        const State state(_files->path() / "state");
        const fs::path written = state.attempt("runs/ab/run/0-BUILD", 1);
        const fs::path own = state.attempt("runs/ab/run/1-OTHER", 1);
        const FileDescriptor lock(
            ::open((written / "shim.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        CPPUNIT_ASSERT_EQUAL(0, ::flock(lock.get(), LOCK_EX | LOCK_NB));
        CleanupWorker cleanup = made(state);
        cleanup.compressLogs(written.parent_path(), 1);
        cleanup.compressLogs(own.parent_path(), 1);
        eventually("the second log to go", [&] { return !fs::exists(own / "log"); });
        CPPUNIT_ASSERT(fs::exists(written / "log"));
        CPPUNIT_ASSERT(!fs::exists(written / "log.zst"));
    }

    void testAFullDiskLeavesTheLogAndIsTriedAgain()
    {
        const SmallDisk disk("4M");
        if (!disk.mounted())
            return;
        const State state(disk.path() / "state");
        const fs::path attempt = state.attempt("runs/ab/run/0-BUILD", 1, 200'000);
        const std::string log = contentOf(attempt / "log");
        fs::create_directories(state.path / "runs/ab/other");
        disk.fill();
        const auto before = changed(attempt);
        CleanupWorker cleanup = made(state);
        cleanup.compressLogs(attempt.parent_path(), 1);
        eventually("the first try", [&]
                   { return changed(attempt) != before && !fs::exists(attempt / "log.zst.new"); });
        CPPUNIT_ASSERT(log == contentOf(attempt / "log"));
        CPPUNIT_ASSERT(!fs::exists(attempt / "log.zst"));
        disk.free();
        cleanup.discard(state.path /
                        "runs/ab/other"); // makes room, as far as the cleanup worker knows
        eventually("the log to go", [&] { return !fs::exists(attempt / "log"); });
        LogReader reader = LogReader::open(attempt).value();
        CPPUNIT_ASSERT(log == textOf(reader));
    }

private:
    CleanupWorker made(const State& state)
    {
        return CleanupWorker(state.path,
                             [this](const std::string& line)
                             {
                                 const std::lock_guard lock(_mutex);
                                 _told.push_back(line);
                             });
    }

    std::vector<std::string> reported()
    {
        const std::lock_guard lock(_mutex);
        return _told;
    }

    std::unique_ptr<FilesFolder> _files;
    std::mutex _mutex;
    std::vector<std::string> _told;
};

CPPUNIT_TEST_SUITE_REGISTRATION(CleanupWorkerTest);

} // namespace agent
