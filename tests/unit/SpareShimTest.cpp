// The shim that is started ahead of its attempt (docs/durability.md, process/SpareShim.h).
#include "agent/os/FolderDigest.h"
#include "tests/support/Launching.h"

#include <cppunit/extensions/HelperMacros.h>

#include <atomic>

#include <sys/file.h>

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
    CPPUNIT_TEST(testAnArmedOneExecutesAtTheWord);
    CPPUNIT_TEST(testAnArmedOneClaimsNothingBeforeTheWord);
    CPPUNIT_TEST(testAnArmedOneReadsThePluginBehindTheClaim);
    CPPUNIT_TEST(testADroppedPreparationLeavesNoArmedOne);
    CPPUNIT_TEST(testAnArmedOneWhoseStarterIsKilledExecutesNothing);
    CPPUNIT_TEST(testAnArmedOneThatIsGoneIsReplacedAtTheLaunch);
    CPPUNIT_TEST(testOneIsArmedAtATime);
    CPPUNIT_TEST(testATermWhileItIsArmedStopsItsAttempt);
    CPPUNIT_TEST(testALockThatIsGivenUpInAMomentIsWaitedFor);
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

    void testAnArmedOneExecutesAtTheWord()
    {
        _launcher.refill();
        const int spare = spareOf(::getpid());
        const fs::path folder = _place.attempt();
        auto launch = armed(folder, _place.shell("test \"$TOKEN\" = long-enough; echo hello"),
                            {{"TOKEN", "long-enough"}});
        const auto before = agent::ticksSinceBoot();
        const Shim shim = _launcher.start(std::move(launch));
        CPPUNIT_ASSERT_EQUAL(spare, shim.pid);
        launching::awaitEnd(shim);
        const Attempt attempt = _launcher.find(folder);
        CPPUNIT_ASSERT(attempt.outcome.succeeded());
        CPPUNIT_ASSERT_EQUAL(std::string("hello\n"), textOf(folder / "log"));
        CPPUNIT_ASSERT(attempt.claim.value().began() >= before);
    }

    /// Else a start that is never recorded would look like an attempt that has run.
    void testAnArmedOneClaimsNothingBeforeTheWord()
    {
        _launcher.refill();
        const fs::path folder = _place.attempt();
        auto launch = armed(folder, _place.shell("true"), {});
        CPPUNIT_ASSERT_EQUAL(std::string(), textOf(folder / "shim.lock"));
        for (const char* file : {"log", "log.idx", "outcome.json"})
            CPPUNIT_ASSERT_MESSAGE(file, !fs::exists(folder / file));
        launching::awaitEnd(_launcher.start(std::move(launch)));
        CPPUNIT_ASSERT(_launcher.find(folder).outcome.succeeded());
    }

    // Symptom: a stage was recorded as SHIM_LOST, and executed later. Cause: an armed shim read a large plugin before its
    // claim, for longer than anybody waited for that. Bound: what changes before the word is seen.
    void testAnArmedOneReadsThePluginBehindTheClaim()
    {
        const fs::path plugin = _place.folder() / "plugin";
        fs::create_directories(plugin);
        launching::writeText(plugin / "run", "as loaded");
        _launcher.refill();
        const int spare = spareOf(::getpid());
        const fs::path folder = _place.attempt();
        agent::Order order = _place.shell("echo executed");
        order.pluginFolder = plugin.string();
        order.pluginSha256 = agent::digestOfFolder(plugin.string());
        auto launch = armed(folder, order, {});
        // It waits for the word: more than once, as it may wait for the disk before.
        int asleep = 0;
        CPPUNIT_ASSERT(within(10,
                              [&]
                              {
                                  const auto stat = agent::processStat(spare);
                                  asleep = stat && stat->state == 'S' ? asleep + 1 : 0;
                                  return asleep == 10;
                              }));
        launching::writeText(plugin / "run", "changed");
        launching::awaitEnd(_launcher.start(std::move(launch)));
        const Attempt attempt = _launcher.find(folder);
        CPPUNIT_ASSERT(attempt.outcome.cause == agent::Cause::PluginError);
        CPPUNIT_ASSERT(attempt.claim.has_value());
        CPPUNIT_ASSERT_EQUAL(std::string(), textOf(folder / "log"));
    }

    void testADroppedPreparationLeavesNoArmedOne()
    {
        const std::size_t children = launching::childrenOfUs();
        const fs::path folder = _place.attempt();
        const fs::path trace = _place.folder() / "trace";
        for (int i = 0; i < 3; ++i)
        {
            _launcher.refill();
            {
                const int spare = spareOf(::getpid());
                const auto dropped = armed(folder, _place.shell("touch " + trace.string()), {});
                ::kill(spare, SIGSTOP); // nor does it have to listen
            }
            CPPUNIT_ASSERT_EQUAL(children, launching::childrenOfUs());
            CPPUNIT_ASSERT(_launcher.find(folder).state == Attempt::State::NeverRan);
        }
        CPPUNIT_ASSERT(!fs::exists(trace));
        _launcher.refill();
        auto launch = armed(folder, _place.shell("echo again"), {});
        launching::awaitEnd(_launcher.start(std::move(launch)));
        CPPUNIT_ASSERT(_launcher.find(folder).outcome.succeeded());
    }

    void testAnArmedOneWhoseStarterIsKilledExecutesNothing()
    {
        const fs::path folder = _place.attempt();
        const fs::path trace = _place.folder() / "trace";
        const agent::Order order = _place.shell("touch " + trace.string());
        const int parent = launching::forked(
            [&]
            {
                Launcher launcher(launching::shimProgram(), Cgroup());
                launcher.refill();
                auto launch = launcher.prepare(folder, order, {});
                launcher.arm(launch);
                awaitReady(folder);
                ::kill(::getpid(), SIGKILL);
            });
        launching::reap(parent);
        // At once: a new daemon does not wait for it to be gone.
        launching::awaitEnd(_launcher.launch(folder, _place.shell("echo once"), {}));
        CPPUNIT_ASSERT(_launcher.find(folder).outcome.succeeded());
        CPPUNIT_ASSERT_EQUAL(std::string("once\n"), textOf(folder / "log"));
        CPPUNIT_ASSERT(!fs::exists(trace));
    }

    void testAnArmedOneThatIsGoneIsReplacedAtTheLaunch()
    {
        _launcher.refill();
        const int spare = spareOf(::getpid());
        const fs::path folder = _place.attempt();
        auto launch = armed(folder, _place.shell("echo once"), {});
        ::kill(spare, SIGKILL);
        CPPUNIT_ASSERT(within(10, [&] { return !agent::processStat(spare)->alive(); }));
        const Shim shim = _launcher.start(std::move(launch));
        CPPUNIT_ASSERT(shim.pid != spare);
        launching::awaitEnd(shim);
        CPPUNIT_ASSERT(_launcher.find(folder).outcome.succeeded());
        CPPUNIT_ASSERT_EQUAL(std::string("once\n"), textOf(folder / "log"));
        CPPUNIT_ASSERT(!agent::processStat(spare)); // reaped
    }

    void testOneIsArmedAtATime()
    {
        _launcher.refill();
        const int spare = spareOf(::getpid());
        const fs::path first = _place.attempt();
        const fs::path second = _place.attempt();
        auto one = armed(first, _place.shell("echo first"), {});
        auto other = _launcher.prepare(second, _place.shell("echo second"), {});
        _launcher.arm(other);
        const Shim otherShim = _launcher.start(std::move(other));
        CPPUNIT_ASSERT(otherShim.pid != spare);
        CPPUNIT_ASSERT(otherShim.socket.valid()); // it tells its outcome there
        const Shim oneShim = _launcher.start(std::move(one));
        CPPUNIT_ASSERT_EQUAL(spare, oneShim.pid);
        launching::awaitEnd(otherShim);
        launching::awaitEnd(oneShim);
        CPPUNIT_ASSERT_EQUAL(std::string("first\n"), textOf(first / "log"));
        CPPUNIT_ASSERT_EQUAL(std::string("second\n"), textOf(second / "log"));
    }

    void testATermWhileItIsArmedStopsItsAttempt()
    {
        _launcher.refill();
        const fs::path folder = _place.attempt();
        const fs::path trace = _place.folder() / "trace";
        const int spare = spareOf(::getpid());
        auto launch = armed(folder, _place.shell("touch " + trace.string()), {});
        ::kill(spare, SIGTERM);
        launching::awaitEnd(_launcher.start(std::move(launch)));
        CPPUNIT_ASSERT(_launcher.find(folder).outcome.cause == agent::Cause::Stopped);
        CPPUNIT_ASSERT(!fs::exists(trace));
    }

    /// An armed shim of a daemon that was killed has its lock until it has seen that.
    void testALockThatIsGivenUpInAMomentIsWaitedFor()
    {
        const fs::path folder = _place.attempt();
        fs::create_directories(folder);
        const int lock = ::open((folder / "shim.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        CPPUNIT_ASSERT_EQUAL(0, ::flock(lock, LOCK_EX | LOCK_NB));
        std::atomic<int> thread = 0;
        std::string problem;
        std::thread waits(
            [&]
            {
                thread = ::gettid();
                try
                {
                    (void)_launcher.prepare(folder, _place.shell("true"), {});
                }
                catch (const std::exception& error)
                {
                    problem = error.what();
                }
            });
        const auto asleep = [&]
        {
            const auto threads = agent::threadsOf(::getpid());
            return std::any_of(threads.begin(), threads.end(),
                               [&](const agent::ProcessStat& one)
                               { return one.pid == thread && one.state == 'S'; });
        };
        const bool waited = within(10, asleep);
        ::close(lock);
        waits.join();
        CPPUNIT_ASSERT_EQUAL(std::string(), problem);
        CPPUNIT_ASSERT(waited);
    }

private:
    /// A launch whose shim has made all ready.
    agent::PreparedLaunch armed(const fs::path& folder, const agent::Order& order,
                                const agent::Secrets& secrets)
    {
        auto launch = _launcher.prepare(folder, order, secrets);
        _launcher.arm(launch);
        awaitReady(folder);
        return launch;
    }

    /// The room for the outcome is what it makes first, and nothing behind it waits for anything.
    static void awaitReady(const fs::path& folder)
    {
        CPPUNIT_ASSERT(within(10, [&] { return fs::exists(folder / "outcome.json.tmp"); }));
    }

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
