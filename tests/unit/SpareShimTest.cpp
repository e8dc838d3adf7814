// The shim that is started ahead of its attempt (docs/durability.md, process/SpareShim.h).
#include "tests/support/Launching.h"

#include <cppunit/extensions/HelperMacros.h>

using agent::Attempt;
using agent::Cgroup;
using agent::Launcher;
using agent::Shim;
using launching::Place;
using launching::textOf;
using launching::within;

namespace fs = std::filesystem;

class SpareShimTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(SpareShimTest);
    CPPUNIT_TEST(testRunsTheAttemptThatItIsHanded);
    CPPUNIT_TEST(testGetsTheSecretsAndHandsNoDescriptorOn);
    CPPUNIT_TEST(testShowsTheFolderAsItsArgument);
    CPPUNIT_TEST(testHoldsTheLockOfItsAttempt);
    CPPUNIT_TEST(testItsAttemptBeginsAtTheHandover);
    CPPUNIT_TEST(testOneThatIsGoneIsReplacedAtTheLaunch);
    CPPUNIT_TEST(testEndsAtTermWhileItWaits);
    CPPUNIT_TEST(testEndsWhenItsStarterIsKilled);
    CPPUNIT_TEST(testEndingItLeavesNoProcess);
    CPPUNIT_TEST(testAShimThatEndsWithUsIsNeverASpareOne);
    CPPUNIT_TEST(testADroppedPreparationCanBeMadeAgain);
    CPPUNIT_TEST_SUITE_END();

    Place _place;
    Launcher _launcher{launching::shimProgram(), Cgroup()};

public:
    void testRunsTheAttemptThatItIsHanded()
    {
        _launcher.refill();
        const int spare = spareOf(::getpid());
        const fs::path folder = _place.attempt();
        const Shim shim = _launcher.launch(folder, _place.shell("echo hello; exit 3"), {});
        CPPUNIT_ASSERT_EQUAL(spare, shim.pid);
        launching::awaitEnd(shim);
        const Attempt attempt = _launcher.find(folder);
        CPPUNIT_ASSERT(attempt.state == Attempt::State::Ended);
        CPPUNIT_ASSERT_EQUAL(3, attempt.outcome.exitCode.value_or(-1));
        CPPUNIT_ASSERT_EQUAL(spare, attempt.claim.value().pid);
        CPPUNIT_ASSERT_EQUAL(std::string("hello\n"), textOf(folder / "log"));
    }

    void testGetsTheSecretsAndHandsNoDescriptorOn()
    {
        _launcher.refill();
        const fs::path folder = _place.attempt();
        const Shim shim = _launcher.launch(
            folder, _place.shell("ls /proc/self/fd | wc -w; test \"$TOKEN\" = long-enough"),
            {{"TOKEN", "long-enough"}});
        launching::awaitEnd(shim);
        CPPUNIT_ASSERT(_launcher.find(folder).outcome.succeeded());
        CPPUNIT_ASSERT_EQUAL(std::string("4\n"), textOf(folder / "log")); // 0-2, and ls's own
    }

    void testShowsTheFolderAsItsArgument()
    {
        _launcher.refill();
        const fs::path folder = _place.attempt();
        const Shim shim = _launcher.launch(folder, _place.shell("sleep 300"), {});
        const std::string wanted = "stage-shim" + std::string(1, '\0') + folder.string() + '\0';
        CPPUNIT_ASSERT(within(
            10,
            [&] {
                return textOf("/proc/" + std::to_string(shim.pid) + "/cmdline").starts_with(wanted);
            }));
        end(shim);
    }

    void testHoldsTheLockOfItsAttempt()
    {
        _launcher.refill();
        const fs::path folder = _place.attempt();
        const Shim shim = _launcher.launch(folder, _place.shell("sleep 300"), {});
        CPPUNIT_ASSERT(_launcher.find(folder).state == Attempt::State::Running);
        CPPUNIT_ASSERT_THROW(_launcher.launch(folder, _place.shell("true"), {}), std::system_error);
        end(shim);
        CPPUNIT_ASSERT(_launcher.find(folder).outcome.cause == agent::Cause::Stopped);
    }

    /// Else a lost stage would have lasted since its shim was started, and a process of then would be its own.
    void testItsAttemptBeginsAtTheHandover()
    {
        _launcher.refill();
        const auto spare = agent::processStat(spareOf(::getpid())).value();
        CPPUNIT_ASSERT(within(10, [&] { return agent::ticksSinceBoot() >= spare.startTime + 10; }));
        const auto handed = agent::ticksSinceBoot();
        const fs::path folder = _place.attempt();
        const Shim shim = _launcher.launch(folder, _place.shell("true"), {});
        launching::awaitEnd(shim);
        const auto claim = agent::AttemptFolder(folder).claim().value();
        CPPUNIT_ASSERT_EQUAL(spare.startTime, claim.startTime);
        CPPUNIT_ASSERT(claim.began() >= handed && claim.began() <= agent::ticksSinceBoot());
    }

    void testOneThatIsGoneIsReplacedAtTheLaunch()
    {
        _launcher.refill();
        const int spare = spareOf(::getpid());
        ::kill(spare, SIGKILL);
        CPPUNIT_ASSERT(within(10, [&] { return !agent::processStat(spare)->alive(); }));
        const fs::path folder = _place.attempt();
        const Shim shim = _launcher.launch(folder, _place.shell("true"), {});
        CPPUNIT_ASSERT(shim.pid != spare);
        launching::awaitEnd(shim);
        CPPUNIT_ASSERT(_launcher.find(folder).outcome.succeeded());
        CPPUNIT_ASSERT(!agent::processStat(spare)); // reaped
    }

    /// A spare that heard TERM and was used all the same would report its stage as stopped.
    void testEndsAtTermWhileItWaits()
    {
        _launcher.refill();
        const int spare = spareOf(::getpid());
        ::kill(spare, SIGTERM);
        CPPUNIT_ASSERT(within(10, [&] { return !agent::processStat(spare)->alive(); }));
        const fs::path folder = _place.attempt();
        launching::awaitEnd(_launcher.launch(folder, _place.shell("true"), {}));
        CPPUNIT_ASSERT(_launcher.find(folder).outcome.succeeded());
    }

    void testEndsWhenItsStarterIsKilled()
    {
        const fs::path reported = _place.folder() / "spare";
        const int parent = launching::forked(
            [&]
            {
                Launcher launcher(launching::shimProgram(), Cgroup());
                launcher.refill();
                launching::writeText(reported, std::to_string(spareOf(::getpid())));
                ::kill(::getpid(), SIGKILL);
            });
        launching::reap(parent);
        const int spare = std::stoi(textOf(reported));
        CPPUNIT_ASSERT(within(10,
                              [&]
                              {
                                  const auto stat = agent::processStat(spare);
                                  return !stat || !stat->alive();
                              }));
    }

    void testEndingItLeavesNoProcess()
    {
        const std::size_t children = launching::childrenOfUs();
        _launcher.refill();
        _launcher.refill(); // one is enough
        CPPUNIT_ASSERT_EQUAL(children + 1, launching::childrenOfUs());
        ::kill(spareOf(::getpid()), SIGSTOP); // nor does it have to listen
        _launcher.endSpare();
        CPPUNIT_ASSERT_EQUAL(children, launching::childrenOfUs());
    }

    void testAShimThatEndsWithUsIsNeverASpareOne()
    {
        const std::size_t children = launching::childrenOfUs();
        Launcher(launching::shimProgram(), Cgroup(), agent::Bond::EndsWithUs).refill();
        CPPUNIT_ASSERT_EQUAL(children, launching::childrenOfUs());
    }

    void testADroppedPreparationCanBeMadeAgain()
    {
        const fs::path folder = _place.attempt();
        {
            const auto dropped = _launcher.prepare(folder, _place.shell("exit 1"), {});
            CPPUNIT_ASSERT_THROW((void)_launcher.prepare(folder, _place.shell("true"), {}),
                                 std::system_error); // its lock is taken
        }
        CPPUNIT_ASSERT(_launcher.find(folder).state == Attempt::State::NeverRan);
        launching::awaitEnd(_launcher.launch(folder, _place.shell("true"), {}));
        CPPUNIT_ASSERT(_launcher.find(folder).outcome.succeeded());
    }

private:
    /// The child of `parent` that waits for its attempt.
    static int spareOf(int parent)
    {
        int found = 0;
        // The kernel shows an argument only a moment after the exec has closed what our start waits for.
        within(10,
               [&]
               {
                   for (const auto& process : agent::allProcesses())
                       if (process.ppid == parent &&
                           textOf("/proc/" + std::to_string(process.pid) + "/cmdline")
                                   .find("--wait") != std::string::npos)
                           found = process.pid;
                   return found != 0;
               });
        CPPUNIT_ASSERT_MESSAGE("no spare shim", found != 0);
        return found;
    }

    static void end(const Shim& shim)
    {
        Launcher::stop(shim);
        launching::awaitEnd(shim);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(SpareShimTest);
