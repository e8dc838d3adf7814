#include "agent/program/Program.h"
#include "agent/os/DescriptorLimit.h"
#include "tests/support/FilesFolder.h"
#include "tests/support/Launching.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <csignal>
#include <sstream>
#include <system_error>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace agent
{

/// Programs that are asked something, as `stagectl doctor` asks git.
class ProgramTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(ProgramTest);
    CPPUNIT_TEST(testTakesBothOutputsAndTheExitCode);
    CPPUNIT_TEST(testWhatComesBeforeTheEndIsNeverMissed);
    CPPUNIT_TEST(testKeepsNoMoreThanToldAndReadsOn);
    CPPUNIT_TEST(testKillsTheWholeGroupAtTheDeadline);
    CPPUNIT_TEST(testAWriterWithoutEndIsEndedToo);
    CPPUNIT_TEST(testWaitsForNobodyWhoKeepsTheOutputOpen);
    CPPUNIT_TEST(testInputIsEmptyAndSignalsAreFresh);
    CPPUNIT_TEST(testHasTheDescriptorLimitFromBeforeOursWasRaised);
    CPPUNIT_TEST(testTellsTheSignalThatEndedIt);
    CPPUNIT_TEST(testAProgramThatIsNotThereIsNamed);
    CPPUNIT_TEST(testGivesTheEnvironmentThatItIsTold);
    CPPUNIT_TEST(testFindsOnlyWhatCanBeExecuted);
    CPPUNIT_TEST_SUITE_END();

public:
    void tearDown() override
    {
        CPPUNIT_ASSERT_EQUAL_MESSAGE("a child is left", -1, ::waitpid(-1, nullptr, WNOHANG));
    }

    void testTakesBothOutputsAndTheExitCode()
    {
        const auto end = shell("echo seen; echo first >&2; echo why >&2; exit 3");
        CPPUNIT_ASSERT_EQUAL(3, end.exitCode);
        CPPUNIT_ASSERT(!end.passed() && !end.late);
        CPPUNIT_ASSERT_EQUAL(std::string("seen\n"), end.out);
        CPPUNIT_ASSERT_EQUAL(std::string("exit code 3: why"), end.describe());
        CPPUNIT_ASSERT(shell("true").passed());
    }

    void testWhatComesBeforeTheEndIsNeverMissed()
    {
        for (int i = 0; i < 50; ++i)
            CPPUNIT_ASSERT_EQUAL(std::string("last"), shell("printf last").out);
        CPPUNIT_ASSERT_EQUAL(std::size_t(60'000),
                             shell("head -c 60000 /dev/zero | tr '\\0' x").out.size());
    }

    void testKeepsNoMoreThanToldAndReadsOn()
    {
        const auto end =
            runProgram({.argv = {"/bin/sh", "-c", "head -c 3000000 /dev/zero; echo done >&2"},
                        .mostBytes = 7});
        CPPUNIT_ASSERT(end.passed());
        CPPUNIT_ASSERT_EQUAL(std::size_t(7), end.out.size());
        CPPUNIT_ASSERT_EQUAL(std::string("done\n"), end.err);
    }

    void testKillsTheWholeGroupAtTheDeadline()
    {
        const auto end = runProgram({.argv = {"/bin/sh", "-c", "sleep 971 & echo $!; wait"},
                                     .timeout = std::chrono::milliseconds(300)});
        CPPUNIT_ASSERT(end.late && !end.passed());
        CPPUNIT_ASSERT_EQUAL(std::string("no end in time"), end.describe());
        assertGone(std::stoi(end.out));
    }

    void testAWriterWithoutEndIsEndedToo()
    {
        const auto end = runProgram({.argv = {"/bin/sh", "-c", "exec cat /dev/zero"},
                                     .timeout = std::chrono::milliseconds(300)});
        CPPUNIT_ASSERT(end.late);
        CPPUNIT_ASSERT_EQUAL(std::size_t(65'536), end.out.size());
    }

    void testWaitsForNobodyWhoKeepsTheOutputOpen()
    {
        const auto end = runProgram({.argv = {"/bin/sh", "-c", "setsid sleep 97 & echo $!"},
                                     .timeout = std::chrono::seconds(60)});
        CPPUNIT_ASSERT(end.passed());
        ::kill(std::stoi(end.out), SIGKILL);
        const auto inGroup = shell("sleep 971 & echo $!");
        CPPUNIT_ASSERT(inGroup.passed());
        assertGone(std::stoi(inGroup.out));
    }

    void testInputIsEmptyAndSignalsAreFresh()
    {
        sigset_t blocked;
        sigset_t before;
        sigemptyset(&blocked);
        sigaddset(&blocked, SIGTERM);
        ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
        const auto pipes = std::signal(SIGPIPE, SIG_IGN);
        const auto end = shell("cat; grep -E '^Sig(Blk|Ign)' /proc/self/status");
        std::signal(SIGPIPE, pipes);
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
        std::istringstream words(end.out);
        int sets = 0;
        // The two beyond 31 are the C library's own, which posix_spawn leaves alone.
        for (std::string name, set; words >> name >> set; ++sets)
            CPPUNIT_ASSERT_EQUAL_MESSAGE(end.out, 0UL, std::stoul(set, nullptr, 16) & 0x7fffffffUL);
        CPPUNIT_ASSERT_EQUAL(2, sets);
    }

    /// Symptom: git and hooks had a limit of half a million, and a program that closes all possible descriptors at
    /// its start took seconds.
    void testHasTheDescriptorLimitFromBeforeOursWasRaised()
    {
        rlimit before{};
        CPPUNIT_ASSERT_EQUAL(0, ::getrlimit(RLIMIT_NOFILE, &before));
        const rlimit lower{.rlim_cur = 256, .rlim_max = before.rlim_max};
        CPPUNIT_ASSERT_EQUAL(0, ::setrlimit(RLIMIT_NOFILE, &lower));
        const std::size_t raised = raiseDescriptorLimit();
        const auto end = shell("ulimit -Sn");
        CPPUNIT_ASSERT_EQUAL(0, ::setrlimit(RLIMIT_NOFILE, &before));
        CPPUNIT_ASSERT_EQUAL(std::size_t{before.rlim_max}, raised);
        CPPUNIT_ASSERT_EQUAL(std::string("256\n"), end.out);
    }

    void testTellsTheSignalThatEndedIt()
    {
        const auto end = shell("kill -SEGV $$");
        CPPUNIT_ASSERT_EQUAL(SIGSEGV, end.signal);
        CPPUNIT_ASSERT_EQUAL(std::string("signal 11"), end.describe());
    }

    void testAProgramThatIsNotThereIsNamed()
    {
        try
        {
            runProgram({.argv = {"/nowhere/to/be-found"}});
            CPPUNIT_FAIL("it was started");
        }
        catch (const std::system_error& error)
        {
            CPPUNIT_ASSERT(error.code() == std::errc::no_such_file_or_directory);
            CPPUNIT_ASSERT(std::string(error.what()).find("/nowhere/to/be-found") !=
                           std::string::npos);
        }
    }

    void testGivesTheEnvironmentThatItIsTold()
    {
        const std::vector<std::string> only{"A=1"};
        CPPUNIT_ASSERT_EQUAL(std::string("A=1\n"),
                             runProgram({.argv = {"/usr/bin/env"}, .environment = only}).out);
        CPPUNIT_ASSERT(runProgram({.argv = {"/usr/bin/env"}}).out.find("PATH=") !=
                       std::string::npos);
    }

    void testFindsOnlyWhatCanBeExecuted()
    {
        const FilesFolder folder;
        const auto first = folder.write("a/tool", "#!/bin/sh\n").parent_path();
        const auto second = folder.write("b/tool", "#!/bin/sh\n");
        std::filesystem::create_directories(folder.path() / "c" / "tool");
        std::filesystem::permissions(second, std::filesystem::perms::owner_all);
        const std::string folders = "/nowhere::" + (folder.path() / "c").string() + ":" +
                                    first.string() + ":" + second.parent_path().string();
        CPPUNIT_ASSERT_EQUAL(second.string(), findProgram("tool", folders).string());
        CPPUNIT_ASSERT(findProgram("tool", first.string()).empty());
        CPPUNIT_ASSERT(findProgram("no-such-tool", folders).empty());
    }

private:
    static ProgramEnd shell(const std::string& command)
    {
        return runProgram({.argv = {"/bin/sh", "-c", command}});
    }

    /// It was killed; the kernel, and who inherited it, may take a moment.
    static void assertGone(int pid)
    {
        const auto gone = [pid]
        {
            const auto stat = processStat(pid);
            return !stat || !stat->alive();
        };
        CPPUNIT_ASSERT_MESSAGE("it lives", launching::within(10, gone));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ProgramTest);

} // namespace agent
