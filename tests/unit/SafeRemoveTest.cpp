#include "agent/run/SafeRemove.h"
#include "tests/support/FilesFolder.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <fcntl.h>
#include <functional>
#include <iostream>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <sstream>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

namespace agent
{

namespace
{

namespace fs = std::filesystem;

FileDescriptor opened(const fs::path& folder)
{
    FileDescriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    CPPUNIT_ASSERT_MESSAGE(folder.string(), fd.valid());
    return fd;
}

/// On a thread of its own, which may give up rights for itself alone.
void onThread(const std::function<void()>& work)
{
    std::exception_ptr error;
    std::thread(
        [&]
        {
            try
            {
                work();
            }
            catch (...)
            {
                error = std::current_exception();
            }
        })
        .join();
    if (error)
        std::rethrow_exception(error);
}

/// From now on this thread's kernel has no openat2.
void forgetOpenat2()
{
    sock_filter filter[]{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program{.len = 4, .filter = filter};
    CPPUNIT_ASSERT_EQUAL(0, ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    CPPUNIT_ASSERT_EQUAL(0, ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
    CPPUNIT_ASSERT_EQUAL(-1L, ::syscall(SYS_openat2, -1, "", nullptr, 0));
    CPPUNIT_ASSERT_EQUAL(ENOSYS, errno);
}

/// What lies outside the emptied folder and must stay as it is.
class Outside
{
public:
    Outside()
    {
        for (int i = 0; i < 20; ++i)
        {
            _files.write("file" + std::to_string(i), std::to_string(i));
            _files.write("below/deep/file" + std::to_string(i), std::to_string(i));
        }
        _before = shown();
    }

    void assertUntouched() const { CPPUNIT_ASSERT_EQUAL(_before, shown()); }
    [[nodiscard]] const fs::path& path() const { return _files.path(); }

private:
    [[nodiscard]] std::string shown() const
    {
        std::vector<std::string> all;
        for (const auto& entry : fs::recursive_directory_iterator(path()))
            all.push_back(entry.path().string() + (entry.is_directory() ? "/" : "") + " " +
                          std::to_string(static_cast<int>(entry.status().permissions())));
        std::sort(all.begin(), all.end());
        std::ostringstream text;
        for (const auto& line : all)
            text << line << '\n';
        return text.str();
    }

    FilesFolder _files;
    std::string _before;
};

constexpr int pairs = 20;

std::string nth(const char* name, int number)
{
    return name + std::to_string(number);
}

/// Exchanges each `folder<N>` with its `link<N>`, all in the open folder `in`, as fast as it can.
class Swapper
{
public:
    explicit Swapper(int in)
        : _thread(
              [this, in](const std::stop_token& stop)
              {
                  for (int i = 0; !stop.stop_requested(); i = (i + 1) % pairs)
                      if (::renameat2(in, nth("folder", i).c_str(), in, nth("link", i).c_str(),
                                      RENAME_EXCHANGE) == 0)
                          ++_swaps;
              })
    {
    }

    [[nodiscard]] long swaps() const { return _swaps; }

private:
    std::atomic<long> _swaps = 0;
    std::jthread _thread;
};

} // namespace

class SafeRemoveTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(SafeRemoveTest);
    CPPUNIT_TEST(testRemovesAllKindsOfFiles);
    CPPUNIT_TEST(testNeverFollowsASymlink);
    CPPUNIT_TEST(testGoesAsDeepAsItMust);
    CPPUNIT_TEST(testFoldersWithoutRightsAreNoObstacle);
    CPPUNIT_TEST(testRacingSwapperStaysInside);
    CPPUNIT_TEST(testRacingSwapperStaysInsideWithoutOpenat2);
    CPPUNIT_TEST(testAMountIsNotEntered);
    CPPUNIT_TEST(testStopsWhenAsked);
    CPPUNIT_TEST(testOpensBeneathAndNowhereElse);
    CPPUNIT_TEST(testOpensBeneathWithoutOpenat2);
    CPPUNIT_TEST_SUITE_END();

public:
    void testRemovesAllKindsOfFiles()
    {
        const FilesFolder trash;
        trash.write("plain", "x");
        trash.write("a/b/c/file", "x");
        ::chmod(trash.write("a/readonly", "x").c_str(), 0);
        fs::create_directories(trash.path() / "a/empty");
        CPPUNIT_ASSERT_EQUAL(0, ::mkfifo((trash.path() / "a/pipe").c_str(), 0600));
        fs::create_symlink("nowhere", trash.path() / "a/dangling");
        fs::create_symlink("..", trash.path() / "a/b/up");
        fs::create_hard_link(trash.path() / "plain", trash.path() / "a/second");
        fs::create_directories(trash.path() / "a/b" / std::string(255, 'n'));
        assertEmptied(trash);
    }

    void testNeverFollowsASymlink()
    {
        const Outside outside;
        const FilesFolder trash;
        fs::create_directory_symlink(outside.path(), trash.path() / "top");
        fs::create_directories(trash.path() / "run/workspace");
        fs::create_directory_symlink(outside.path(), trash.path() / "run/workspace/link");
        fs::create_symlink(outside.path() / "file1", trash.path() / "run/file");
        assertEmptied(trash);
        outside.assertUntouched();
    }

    /// Deeper than the stack, the descriptors and PATH_MAX would reach.
    void testGoesAsDeepAsItMust()
    {
        const FilesFolder trash;
        FileDescriptor at = opened(trash.path());
        for (int depth = 0; depth < 5000; ++depth)
        {
            CPPUNIT_ASSERT_EQUAL(0, ::mkdirat(at.get(), "level", 0700));
            const FileDescriptor file(
                ::openat(at.get(), "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
            CPPUNIT_ASSERT(file.valid());
            at = FileDescriptor(::openat(at.get(), "level", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
            CPPUNIT_ASSERT(at.valid());
        }
        assertEmptied(trash);
    }

    /// Some build tools leave folders that nobody may read, write or enter.
    void testFoldersWithoutRightsAreNoObstacle()
    {
        const FilesFolder trash;
        const uid_t nobody = 65534;
        fs::path deep = trash.path() / "run";
        for (int depth = 0; depth < 4; ++depth, deep /= "locked")
        {
            fs::create_directories(deep / "empty");
            std::ofstream(deep / "file") << "x";
            ::chmod((deep / "file").c_str(), 0);
        }
        const bool root = ::geteuid() == 0;
        std::vector<fs::path> folders{trash.path()};
        for (const auto& entry : fs::recursive_directory_iterator(trash.path()))
        {
            CPPUNIT_ASSERT(!root || ::lchown(entry.path().c_str(), nobody, nobody) == 0);
            if (entry.is_directory())
                folders.push_back(entry.path());
        }
        CPPUNIT_ASSERT(!root || ::lchown(trash.path().c_str(), nobody, nobody) == 0);
        for (auto folder = folders.rbegin(); folder != folders.rend() - 1; ++folder)
            CPPUNIT_ASSERT_EQUAL(0, ::chmod(folder->c_str(), 0));
        const FileDescriptor fd = opened(trash.path());
        onThread(
            [&]
            {
                // The system calls, for these change this thread alone; root would need no rights.
                CPPUNIT_ASSERT(!root || ::syscall(SYS_setresuid, nobody, nobody, nobody) == 0);
                CPPUNIT_ASSERT(::openat(fd.get(), "run", O_RDONLY | O_CLOEXEC) < 0);
                const auto remains = emptyFolder(fd.get(), {});
                CPPUNIT_ASSERT_MESSAGE(remains.empty() ? "" : remains[0].why, remains.empty());
            });
        CPPUNIT_ASSERT(fs::is_empty(trash.path()));
    }

    void testRacingSwapperStaysInside() { raceASwapper(15); }

    void testRacingSwapperStaysInsideWithoutOpenat2()
    {
        onThread(
            []
            {
                forgetOpenat2();
                raceASwapper(10);
            });
    }

    void testAMountIsNotEntered()
    {
        const Outside outside;
        const FilesFolder trash;
        trash.write("run/file", "x");
        fs::create_directories(trash.path() / "run/mounted");
        const fs::path mounted = trash.path() / "run/mounted";
        if (::mount(outside.path().c_str(), mounted.c_str(), nullptr, MS_BIND, nullptr) != 0)
        {
            std::cout << " (skipped: only root may mount) " << std::flush;
            return;
        }
        const auto remains = emptyFolder(opened(trash.path()).get(), {});
        CPPUNIT_ASSERT_EQUAL(0, ::umount2(mounted.c_str(), MNT_DETACH));
        outside.assertUntouched();
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), remains.size());
        CPPUNIT_ASSERT_EQUAL(std::string("run"), remains[0].name);
        CPPUNIT_ASSERT(!fs::exists(trash.path() / "run/file"));
        assertEmptied(trash);
    }

    void testStopsWhenAsked()
    {
        const FilesFolder trash;
        trash.write("a/b/file", "x");
        std::stop_source source;
        source.request_stop();
        CPPUNIT_ASSERT(emptyFolder(opened(trash.path()).get(), source.get_token()).empty());
        CPPUNIT_ASSERT(fs::exists(trash.path() / "a/b/file"));
        assertEmptied(trash);
    }

    void testOpensBeneathAndNowhereElse() { assertOpensBeneath(); }

    void testOpensBeneathWithoutOpenat2()
    {
        onThread(
            []
            {
                forgetOpenat2();
                assertOpensBeneath();
            });
    }

private:
    static void assertEmptied(const FilesFolder& trash)
    {
        for (const auto& [name, why] : emptyFolder(opened(trash.path()).get(), {}))
            CPPUNIT_FAIL(name + ": " + why);
        CPPUNIT_ASSERT(fs::is_empty(trash.path()));
    }

    static void raceASwapper(int rounds)
    {
        const Outside outside;
        long swaps = 0;
        for (int round = 0; round < rounds; ++round)
        {
            const FilesFolder trash;
            const fs::path run = trash.path() / "run";
            // At each level: in the trash itself, below it, and below that.
            for (const fs::path& at : {trash.path(), run, run / "below"})
                for (int i = 0; i < pairs; ++i)
                {
                    fs::create_directories(at / nth("folder", i) / "deep");
                    fs::create_directory_symlink(outside.path(), at / nth("link", i));
                    std::ofstream(at / nth("folder", i) / "file") << "x";
                    std::ofstream(at / nth("folder", i) / "deep/file") << "x";
                }
            const FileDescriptor upper = opened(run);
            const FileDescriptor lower = opened(run / "below");
            const FileDescriptor fd = opened(trash.path());
            const Swapper top(fd.get());
            const Swapper above(upper.get());
            const Swapper below(lower.get());
            while (top.swaps() == 0 || above.swaps() == 0 || below.swaps() == 0)
                std::this_thread::yield();
            const long before = top.swaps() + above.swaps() + below.swaps();
            for (const auto& [name, why] : emptyFolder(fd.get(), {}))
                CPPUNIT_FAIL(name + ": " + why);
            swaps += top.swaps() + above.swaps() + below.swaps() - before;
            outside.assertUntouched();
            CPPUNIT_ASSERT(fs::is_empty(trash.path()));
        }
        std::cout << " (" << swaps << " exchanges during " << rounds << " removals) " << std::flush;
        CPPUNIT_ASSERT(swaps > rounds);
    }

    static void assertOpensBeneath()
    {
        const Outside outside;
        const FilesFolder root;
        root.write("a/b/file", "x");
        fs::create_directory_symlink(outside.path(), root.path() / "link");
        fs::create_directory_symlink("a", root.path() / "inner");
        const FileDescriptor fd = opened(root.path());
        const FileDescriptor found = openBeneath(fd.get(), "a/b");
        CPPUNIT_ASSERT(found.valid());
        CPPUNIT_ASSERT_EQUAL(0, ::faccessat(found.get(), "file", F_OK, 0));
        const std::string above = "../" + root.path().filename().string() + "/a";
        for (const std::string& path :
             {std::string("link"), std::string("link/below"), std::string("inner/b"), above,
              std::string("a/../../"), (root.path() / "a").string(), std::string("a/b/file"),
              std::string("missing"), std::string("a/missing/b"), std::string()})
            CPPUNIT_ASSERT_MESSAGE(path, !openBeneath(fd.get(), path).valid());
        CPPUNIT_ASSERT(!openBeneath(fd.get(), "missing").valid() && errno == ENOENT);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(SafeRemoveTest);

} // namespace agent
