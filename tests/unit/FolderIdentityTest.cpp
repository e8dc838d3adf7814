// Whoever can change a plugin's files must not be able to do so without changing the identity of its folder.
#include "agent/os/FolderIdentity.h"
#include "tests/support/FilesFolder.h"

#include <cppunit/extensions/HelperMacros.h>

#include <array>
#include <chrono>
#include <functional>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using agent::FilesFolder;
using agent::identityOfFolder;

namespace
{

namespace fs = std::filesystem;

/// What a process of a user says who may change nothing in the folder.
std::string asNobody(const fs::path& folder)
{
    constexpr unsigned nobody = 65534;
    int ends[2];
    CPPUNIT_ASSERT_EQUAL(0, ::pipe2(ends, O_CLOEXEC));
    const pid_t child = ::fork();
    if (child == 0)
    {
        if (::setresgid(nobody, nobody, nobody) != 0 || ::setresuid(nobody, nobody, nobody) != 0)
            ::_exit(2);
        const std::string identity = identityOfFolder(folder.string());
        ::_exit(::write(ends[1], identity.data(), identity.size()) < 0 ? 3 : 0);
    }
    ::close(ends[1]);
    std::array<char, 256> said{};
    const ssize_t count = ::read(ends[0], said.data(), said.size());
    ::close(ends[0]);
    int status = -1;
    CPPUNIT_ASSERT_EQUAL(child, ::waitpid(child, &status, 0));
    CPPUNIT_ASSERT_EQUAL(0, status);
    return {said.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0))};
}

} // namespace

class FolderIdentityTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(FolderIdentityTest);
    CPPUNIT_TEST(testWhatOurUserMayChangeHasNone);
    CPPUNIT_TEST(testEachChangeShows);
    CPPUNIT_TEST(testWhatWasJustChangedHasNone);
    CPPUNIT_TEST(testOneNameThatOurUserMayWriteIsEnough);
    CPPUNIT_TEST(testOneNameThatAnotherUserMayWriteIsEnough);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override
    {
        ::chmod(_files.path().c_str(), 0755);
        _plugin = _files.path() / "plugin";
        (void)_files.write("plugin/run", "echo honest\n");
        (void)_files.write("plugin/lib/more", "more\n");
        fs::create_symlink("run", _plugin / "link");
    }

    void testWhatOurUserMayChangeHasNone()
    {
        CPPUNIT_ASSERT_EQUAL(std::string(), identityOfFolder(_plugin.string()));
        CPPUNIT_ASSERT_EQUAL(std::string(), identityOfFolder((_plugin / "none").string()));
    }

    void testEachChangeShows()
    {
        if (::geteuid() != 0)
            return;
        std::string last = settled();
        CPPUNIT_ASSERT_EQUAL(std::size_t{64}, last.size());
        CPPUNIT_ASSERT_EQUAL(last, asNobody(_plugin));
        const auto changes = [&](const char* what, const std::function<void()>& change)
        {
            change();
            const std::string now = settled();
            CPPUNIT_ASSERT_MESSAGE(what, now != last);
            last = now;
        };
        changes("the same size and times", [&] { rewriteUnseen(_plugin / "run", "echo changed"); });
        changes("a file replaced",
                [&]
                {
                    (void)_files.write("plugin/new", "more\n");
                    fs::rename(_plugin / "new", _plugin / "lib/more");
                });
        changes("a file more", [&] { (void)_files.write("plugin/lib/other", ""); });
        changes("one less", [&] { fs::remove(_plugin / "lib/other"); });
        changes("the rights", [&] { ::chmod((_plugin / "run").c_str(), 0755); });
        changes("a link",
                [&]
                {
                    fs::remove(_plugin / "link");
                    fs::create_symlink("lib/more", _plugin / "link");
                });
        changes("through a page in memory",
                [&]
                {
                    const int fd = ::open((_plugin / "run").c_str(), O_RDWR | O_CLOEXEC);
                    CPPUNIT_ASSERT_EQUAL(ssize_t{1}, ::pwrite(fd, "E", 1, 0));
                    ::close(fd);
                });
    }

    void testWhatWasJustChangedHasNone()
    {
        if (::geteuid() != 0)
            return;
        (void)settled();
        // Until a change within the same tick of the clock would show.
        const timespec times[] = {{.tv_sec = 1, .tv_nsec = 0}, {.tv_sec = 1, .tv_nsec = 0}};
        ::utimensat(AT_FDCWD, (_plugin / "run").c_str(), times, 0);
        const auto begin = std::chrono::steady_clock::now();
        const std::string at_once = asNobody(_plugin);
        if (std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(100))
            CPPUNIT_ASSERT_EQUAL(std::string(), at_once);
    }

    void testOneNameThatOurUserMayWriteIsEnough()
    {
        if (::geteuid() != 0)
            return;
        (void)settled();
        ::chmod((_plugin / "lib/more").c_str(), 0646);
        assertNone();
        ::chmod((_plugin / "lib/more").c_str(), 0644);
        ::chmod((_plugin / "lib").c_str(), 0757);
        assertNone();
        ::chmod((_plugin / "lib").c_str(), 0755);
        ::lchown((_plugin / "link").c_str(), 65534, 65534);
        assertNone();
    }

    void testOneNameThatAnotherUserMayWriteIsEnough()
    {
        if (::geteuid() != 0)
            return;
        (void)settled();
        ::chmod((_plugin / "lib/more").c_str(), 0664);
        assertNone();
        ::chmod((_plugin / "lib/more").c_str(), 0644);
        ::chmod((_plugin / "lib").c_str(), 0775);
        assertNone();
        ::chmod((_plugin / "lib").c_str(), 0755);
        CPPUNIT_ASSERT_EQUAL(std::size_t{64}, settled().size());
        constexpr unsigned daemon = 1;
        for (const char* name : {"run", "lib", "link"})
        {
            ::lchown((_plugin / name).c_str(), daemon, 0);
            assertNone();
            ::lchown((_plugin / name).c_str(), 0, 0);
        }
        CPPUNIT_ASSERT_EQUAL(std::size_t{64}, settled().size());
    }

private:
    /// The identity as soon as there is one.
    [[nodiscard]] std::string settled() const
    {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        std::string identity;
        while ((identity = asNobody(_plugin)).empty() && std::chrono::steady_clock::now() < end)
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        return identity;
    }

    /// Also after the time in which a fresh change has none anyway.
    void assertNone() const
    {
        const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
        while (std::chrono::steady_clock::now() < end)
        {
            CPPUNIT_ASSERT_EQUAL(std::string(), asNobody(_plugin));
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
    }

    static void rewriteUnseen(const fs::path& file, const std::string& text)
    {
        struct stat before = {};
        CPPUNIT_ASSERT_EQUAL(0, ::stat(file.c_str(), &before));
        const int fd = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
        CPPUNIT_ASSERT_EQUAL(static_cast<ssize_t>(text.size()),
                             ::pwrite(fd, text.data(), text.size(), 0));
        const timespec times[] = {before.st_atim, before.st_mtim};
        CPPUNIT_ASSERT_EQUAL(0, ::futimens(fd, times));
        ::close(fd);
    }

    FilesFolder _files;
    fs::path _plugin;
};

CPPUNIT_TEST_SUITE_REGISTRATION(FolderIdentityTest);
