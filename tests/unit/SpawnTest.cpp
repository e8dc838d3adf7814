#include "agent/process/Spawn.h"
#include "tests/support/Launching.h"

#include <sys/mman.h>
#include <sys/stat.h>

namespace
{

namespace fs = std::filesystem;
using launching::Place;
using launching::textOf;

} // namespace

/// What a shim finds at its start; with scripts in its place, that write it down.
class SpawnTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(SpawnTest);
    CPPUNIT_TEST(testGivesTheShimWhatItIsPromisedAndNothingElse);
    CPPUNIT_TEST(testBlocksEverySignalUntilTheShimAsksForThem);
    CPPUNIT_TEST(testABoundShimHearsOfOurDeath);
    CPPUNIT_TEST_SUITE_END();

    Place _place;

    void testGivesTheShimWhatItIsPromisedAndNothingElse()
    {
        const fs::path script = _place.folder() / "shim.sh";
        launching::writeText(script, "#!/bin/sh\n"
                                     "grep ^Sig /proc/self/status > \"$1/signals\"\n"
                                     "for fd in 0 1 2 3 4; do readlink /proc/$$/fd/$fd; done"
                                     " > \"$1/known\" 2>/dev/null\n"
                                     "ls /proc/$$/fd > \"$1/all\"\n"
                                     "env > \"$1/environment\"\n"
                                     "cat <&4 > \"$1/secrets\"\n"
                                     "cut -d ' ' -f 6 /proc/$$/stat > \"$1/session\"\n");
        fs::permissions(script, fs::perms::owner_all);
        // Descriptors that would collide with the shim's own, and one that would leak.
        const agent::FileDescriptor low(::open("/dev/zero", O_RDONLY));
        const agent::FileDescriptor high(::fcntl(low.get(), F_DUPFD, 50));
        ::setenv("LAUNCHER_TEST_LEAK", "1", 1);
        void (*const before)(int) = ::signal(SIGUSR1, SIG_IGN);

        const fs::path folder = _place.attempt();
        fs::create_directories(folder);
        const agent::FileDescriptor lock(
            ::open((folder / "shim.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        const agent::FileDescriptor secrets(::memfd_create("stage-secrets", MFD_CLOEXEC));
        const std::string values("A\0001 2\0B\0003\n\0", 11);
        CPPUNIT_ASSERT_EQUAL(static_cast<ssize_t>(values.size()),
                             ::pwrite(secrets.get(), values.data(), values.size(), 0));
        const agent::Child child = agent::spawnShim(script, folder, lock, secrets);
        launching::reap(child.pid);
        ::signal(SIGUSR1, before);
        ::unsetenv("LAUNCHER_TEST_LEAK");

        const std::string signals = textOf(folder / "signals");
        CPPUNIT_ASSERT_MESSAGE(signals,
                               signals.find("SigPnd:\t0000000000000000") != std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(signals,
                               signals.find("SigIgn:\t0000000000000000") != std::string::npos);
        std::istringstream known(textOf(folder / "known"));
        for (const char* expected : {"/dev/null", "", "/dev/null"})
        {
            std::string target;
            std::getline(known, target);
            if (*expected != '\0') // the script's own redirection stands in for 1
                CPPUNIT_ASSERT_EQUAL(std::string("/dev/null"), target);
        }
        const std::string all = textOf(folder / "known");
        CPPUNIT_ASSERT(all.find((folder / "shim.lock").string()) != std::string::npos);
        CPPUNIT_ASSERT(all.find("memfd:stage-secrets") != std::string::npos);
        CPPUNIT_ASSERT(textOf(folder / "all").find("50") == std::string::npos);
        CPPUNIT_ASSERT(textOf(folder / "environment").find("LAUNCHER_TEST") == std::string::npos);
        CPPUNIT_ASSERT(textOf(folder / "environment").find("PATH=") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(values, textOf(folder / "secrets"));
        CPPUNIT_ASSERT_EQUAL(std::to_string(child.pid) + "\n", textOf(folder / "session"));
    }

    void testBlocksEverySignalUntilTheShimAsksForThem()
    {
        // A shell would clear its mask: this stands still in the open of a pipe that nobody writes.
        const fs::path pipe = _place.folder() / "pipe";
        CPPUNIT_ASSERT_EQUAL(0, ::mkfifo(pipe.c_str(), 0600));
        const agent::FileDescriptor some(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        sigset_t before;
        ::sigprocmask(SIG_SETMASK, nullptr, &before);
        const agent::Child child = agent::spawnShim("/bin/cat", pipe, some, some);
        ::kill(child.pid, SIGTERM);
        const std::string status = textOf("/proc/" + std::to_string(child.pid) + "/status");
        sigset_t after;
        ::sigprocmask(SIG_SETMASK, nullptr, &after);
        ::kill(child.pid, SIGKILL);
        launching::reap(child.pid);
        CPPUNIT_ASSERT(status.find("SigBlk:\tfffffffffffbfeff") != std::string::npos);
        CPPUNIT_ASSERT(status.find("ShdPnd:\t0000000000004000") != std::string::npos);
        for (int signal = 1; signal < NSIG; ++signal)
            CPPUNIT_ASSERT_EQUAL(sigismember(&before, signal), sigismember(&after, signal));
    }

    void testABoundShimHearsOfOurDeath()
    {
        const auto pendingOf = [&](agent::Bond bond)
        {
            // As above: it stands in the open, with TERM blocked.
            const fs::path pipe =
                _place.folder() / ("pipe" + std::to_string(static_cast<int>(bond)));
            const fs::path reported = pipe.string() + ".pid";
            CPPUNIT_ASSERT_EQUAL(0, ::mkfifo(pipe.c_str(), 0600));
            const agent::FileDescriptor some(::open("/dev/null", O_RDONLY | O_CLOEXEC));
            const int parent = launching::forked(
                [&]
                {
                    const auto child = agent::spawnShim("/bin/cat", pipe, some, some, bond);
                    launching::writeText(reported, std::to_string(child.pid) + "\n");
                    ::kill(::getpid(), SIGKILL);
                });
            launching::reap(parent);
            const int child = std::stoi(textOf(reported));
            const auto status = textOf("/proc/" + std::to_string(child) + "/status");
            ::kill(child, SIGKILL); // init's to reap
            const auto at = status.find("ShdPnd:");
            CPPUNIT_ASSERT(at != std::string::npos);
            return status.substr(at, status.find('\n', at) - at);
        };
        CPPUNIT_ASSERT_EQUAL(std::string("ShdPnd:\t0000000000004000"),
                             pendingOf(agent::Bond::EndsWithUs));
        CPPUNIT_ASSERT_EQUAL(std::string("ShdPnd:\t0000000000000000"),
                             pendingOf(agent::Bond::Outlives));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(SpawnTest);
