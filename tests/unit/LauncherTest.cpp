#include "agent/process/Launcher.h"
#include "agent/os/Files.h"
#include "agent/process/AttemptFolder.h"
#include "tests/support/Launching.h"

#include <system_error>

#include <sys/file.h>
#include <sys/stat.h>

namespace
{

namespace fs = std::filesystem;
using agent::Attempt;
using agent::Cgroup;
using agent::Claim;
using agent::Launcher;
using agent::Order;
using agent::Shim;
using launching::Place;
using launching::Sleeper;
using launching::textOf;
using launching::within;

std::size_t entriesOf(const fs::path& folder)
{
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

Claim claimOf(const agent::ProcessStat& process)
{
    return Claim{.pid = process.pid,
                 .startTime = process.startTime,
                 .bootId = agent::bootId(),
                 .startedAt = 1};
}

} // namespace

class LauncherTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(LauncherTest);
    CPPUNIT_TEST(testRunsACommandToItsOutcome);
    CPPUNIT_TEST(testSecretsReachTheCommandAndNoFile);
    CPPUNIT_TEST(testTheCommandInheritsNeitherLockNorSecrets);
    CPPUNIT_TEST(testAMissingShimIsAnErrorAndTheFolderStaysUsable);
    CPPUNIT_TEST(testAFolderMadeAheadIsUsedAndMakesNoRun);
    CPPUNIT_TEST(testNeverLaunchesASecondTime);
    CPPUNIT_TEST(testStopsAStageAlsoThroughAStoppedShim);
    CPPUNIT_TEST(testAdoptsWhatAnotherProcessLaunched);
    CPPUNIT_TEST(testAdoptsAShimThatHasYetToClaim);
    CPPUNIT_TEST(testDoesNotAdoptAStranger);
    CPPUNIT_TEST(testNothingClaimedNeverRan);
    CPPUNIT_TEST(testAnotherBootIdIsAReboot);
    CPPUNIT_TEST(testTheRecordsBootDecidesAfterAPowerCut);
    CPPUNIT_TEST(testRefusesFilesOfANewerVersion);
    CPPUNIT_TEST(testFindsAndEndsAStageOfANewerVersion);
    CPPUNIT_TEST(testLimitsAStageAgain);
    CPPUNIT_TEST(testALostShimLeavesNothingWithoutCgroup);
    CPPUNIT_TEST(testALostShimLeavesNothingWithCgroup);
    CPPUNIT_TEST(testRemainsOfAReusedPidAreNotTouched);
    CPPUNIT_TEST(testLaunchesBesideBusyThreads);
    CPPUNIT_TEST(testLeaksNoDescriptorAndNoChild);
    CPPUNIT_TEST_SUITE_END();

    Place _place;
    Launcher _launcher{launching::shimProgram(), Cgroup()};

    Attempt waitedFor(const fs::path& folder, const Shim& shim) const
    {
        launching::awaitEnd(shim);
        return _launcher.find(folder);
    }

    void testRunsACommandToItsOutcome()
    {
        const fs::path folder = _place.attempt();
        const Shim shim = _launcher.launch(folder, _place.shell("echo hello; exit 3"), {});
        CPPUNIT_ASSERT(shim.pid > 0);
        const Attempt attempt = waitedFor(folder, shim);
        CPPUNIT_ASSERT(attempt.state == Attempt::State::Ended);
        CPPUNIT_ASSERT(attempt.outcome.cause == agent::Cause::Exit);
        CPPUNIT_ASSERT_EQUAL(3, attempt.outcome.exitCode.value_or(-1));
        CPPUNIT_ASSERT_EQUAL(shim.pid, attempt.claim.value().pid);
        CPPUNIT_ASSERT(textOf(folder / "log").find("hello") != std::string::npos);

        struct stat mode = {};
        CPPUNIT_ASSERT_EQUAL(0, ::stat(folder.c_str(), &mode));
        CPPUNIT_ASSERT_EQUAL(0700U, mode.st_mode & 07777U);
        const auto order = agent::orderFrom(textOf(folder / "order.json"));
        CPPUNIT_ASSERT_EQUAL(agent::bootId(), order.value().bootId);
        CPPUNIT_ASSERT(!fs::exists(folder / "order.json.new"));
    }

    void testSecretsReachTheCommandAndNoFile()
    {
        const std::string value = "correct-horse-battery";
        const fs::path folder = _place.attempt();
        Order order = _place.shell("echo \"got $TOKEN\"; test ${#TOKEN} = 21");
        order.secrets = {"TOKEN"};
        const Attempt attempt =
            waitedFor(folder, _launcher.launch(folder, order, {{"TOKEN", value}}));
        CPPUNIT_ASSERT(attempt.state == Attempt::State::Ended);
        CPPUNIT_ASSERT(attempt.outcome.succeeded());
        for (const auto& entry : fs::directory_iterator(folder))
            CPPUNIT_ASSERT_MESSAGE(entry.path().string(),
                                   textOf(entry.path()).find(value) == std::string::npos);
    }

    void testTheCommandInheritsNeitherLockNorSecrets()
    {
        const fs::path folder = _place.attempt();
        // The command outlives its shim's death; were the lock its too, the shim would seem to live.
        const Shim shim =
            _launcher.launch(folder, _place.shell("ls -l /proc/self/fd; exec sleep 300"), {});
        CPPUNIT_ASSERT(
            within(10, [&] { return textOf(folder / "log").find("2 ->") != std::string::npos; }));
        const std::string log = textOf(folder / "log");
        CPPUNIT_ASSERT(log.find("shim.lock") == std::string::npos);
        CPPUNIT_ASSERT(log.find("memfd") == std::string::npos);
        Launcher::kill(shim);
        launching::awaitEnd(shim);
        CPPUNIT_ASSERT(_launcher.find(folder).state == Attempt::State::Lost);
    }

    void testAMissingShimIsAnErrorAndTheFolderStaysUsable()
    {
        const fs::path folder = _place.attempt();
        const Order order = _place.shell("true");
        const std::string missing = (_place.folder() / "no-shim").string();
        const std::size_t children = launching::childrenOfUs();
        try
        {
            Launcher(missing, Cgroup()).launch(folder, order, {});
            CPPUNIT_FAIL("launched what is not there");
        }
        catch (const std::system_error& error)
        {
            CPPUNIT_ASSERT_EQUAL("cannot start stage-shim '" + missing +
                                     "': No such file or directory",
                                 std::string(error.what()));
        }
        CPPUNIT_ASSERT_EQUAL(children, launching::childrenOfUs());
        CPPUNIT_ASSERT(_launcher.find(folder).state == Attempt::State::NeverRan);
        const Attempt attempt = waitedFor(folder, _launcher.launch(folder, order, {}));
        CPPUNIT_ASSERT(attempt.outcome.succeeded());
    }

    void testAFolderMadeAheadIsUsedAndMakesNoRun()
    {
        const fs::path folder = _place.attempt();
        const agent::AttemptFolder attempt(folder);
        fs::create_directories(folder.parent_path().parent_path());
        CPPUNIT_ASSERT(attempt.makeBelowRun());
        CPPUNIT_ASSERT(attempt.makeBelowRun());
        CPPUNIT_ASSERT(fs::is_empty(folder));
        CPPUNIT_ASSERT(_launcher.find(folder).state == Attempt::State::NeverRan);
        const Shim shim = _launcher.launch(folder, _place.shell("exit 3"), {});
        CPPUNIT_ASSERT_EQUAL(3, waitedFor(folder, shim).outcome.exitCode.value_or(-1));

        // The run may have been removed meanwhile: nothing of it may come back.
        const fs::path gone = _place.attempt().parent_path() / "gone-run/0-BUILD/1";
        CPPUNIT_ASSERT(!agent::AttemptFolder(gone).makeBelowRun());
        CPPUNIT_ASSERT(!fs::exists(gone.parent_path().parent_path()));
    }

    void testNeverLaunchesASecondTime()
    {
        const fs::path folder = _place.attempt();
        const Shim shim = _launcher.launch(folder, _place.shell("sleep 300"), {});
        const std::string order = textOf(folder / "order.json");
        CPPUNIT_ASSERT_THROW(_launcher.launch(folder, _place.shell("true"), {}), std::system_error);
        CPPUNIT_ASSERT(_launcher.find(folder).state == Attempt::State::Running);
        Launcher::stop(shim);
        launching::awaitEnd(shim);
        CPPUNIT_ASSERT_THROW(_launcher.launch(folder, _place.shell("true"), {}), std::system_error);
        CPPUNIT_ASSERT_EQUAL(order, textOf(folder / "order.json"));
        CPPUNIT_ASSERT(_launcher.find(folder).state == Attempt::State::Ended);
    }

    void testStopsAStageAlsoThroughAStoppedShim()
    {
        const fs::path folder = _place.attempt();
        const Shim shim = _launcher.launch(folder, _place.shell("sleep 300"), {});
        CPPUNIT_ASSERT(_launcher.find(folder).state == Attempt::State::Running);
        ::kill(shim.pid, SIGSTOP);
        CPPUNIT_ASSERT(within(5, [&] { return agent::processStat(shim.pid)->state == 'T'; }));
        Launcher::stop(shim);
        const Attempt attempt = waitedFor(folder, shim);
        CPPUNIT_ASSERT(attempt.state == Attempt::State::Ended);
        CPPUNIT_ASSERT(attempt.outcome.cause == agent::Cause::Stopped);
        Launcher::stop(shim); // harmless by now
        Launcher::kill(shim);
    }

    void testAdoptsWhatAnotherProcessLaunched()
    {
        const fs::path folder = _place.attempt();
        Order order = _place.shell("sleep 300");
        launching::reap(launching::forked(
            [&] { Launcher(launching::shimProgram(), Cgroup()).launch(folder, order, {}); }));

        Attempt found = _launcher.find(folder);
        CPPUNIT_ASSERT(found.state == Attempt::State::Running);
        CPPUNIT_ASSERT_EQUAL(found.claim.value().pid, found.shim.pid);
        CPPUNIT_ASSERT(within(10, [&] { return launching::livingOf(order) > 0; }));
        CPPUNIT_ASSERT(!agent::processesOf(folder).empty());
        Launcher::stop(found.shim);
        launching::awaitEnd(found.shim);
        found = _launcher.find(folder);
        CPPUNIT_ASSERT(found.state == Attempt::State::Ended);
        CPPUNIT_ASSERT(found.outcome.cause == agent::Cause::Stopped);
        CPPUNIT_ASSERT_EQUAL(std::size_t(0), launching::livingOf(order));
    }

    /// A folder with an order, whose lock is held by the returned descriptor.
    agent::FileDescriptor held(const agent::AttemptFolder& attempt, const Order& order) const
    {
        attempt.make();
        attempt.write(order);
        agent::FileDescriptor lock(
            ::open(attempt.lockFile().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        CPPUNIT_ASSERT_EQUAL(0, ::flock(lock.get(), LOCK_EX | LOCK_NB));
        return lock;
    }

    [[nodiscard]] Order orderOfThisBoot() const
    {
        Order order = _place.shell("true");
        order.bootId = agent::bootId();
        return order;
    }

    void testAdoptsAShimThatHasYetToClaim()
    {
        const Sleeper shim;
        const agent::AttemptFolder attempt(_place.folder() / "claims-late");
        const auto lock = held(attempt, orderOfThisBoot());
        std::thread late(
            [&]
            {
                std::this_thread::sleep_for(std::chrono::milliseconds(100));
                agent::writeAll(lock.get(), agent::toJson(claimOf(shim.stat())));
            });
        const Attempt found = _launcher.find(attempt.path());
        late.join();
        CPPUNIT_ASSERT(found.state == Attempt::State::Running);
        CPPUNIT_ASSERT_EQUAL(shim.pid(), found.shim.pid);
    }

    void testDoesNotAdoptAStranger()
    {
        const Sleeper stranger;
        const agent::AttemptFolder attempt(_place.folder() / "stranger");
        const auto lock = held(attempt, orderOfThisBoot());
        Claim claim = claimOf(stranger.stat());
        --claim.startTime;
        agent::writeAll(lock.get(), agent::toJson(claim));
        CPPUNIT_ASSERT(_launcher.find(attempt.path()).state == Attempt::State::Lost);
        CPPUNIT_ASSERT_EQUAL(std::size_t(0), _launcher.endRemains(attempt.path()));
        CPPUNIT_ASSERT(stranger.stat().alive());
    }

    void testNothingClaimedNeverRan()
    {
        const agent::AttemptFolder attempt(_place.folder() / "never");
        CPPUNIT_ASSERT(_launcher.find(attempt.path()).state == Attempt::State::NeverRan);
        attempt.make();
        CPPUNIT_ASSERT(_launcher.find(attempt.path()).state == Attempt::State::NeverRan);
        launching::writeText(attempt.lockFile(), "");
        attempt.write(orderOfThisBoot());
        CPPUNIT_ASSERT(_launcher.find(attempt.path()).state == Attempt::State::NeverRan);
        launching::writeText(attempt.lockFile(), R"({"version":1,"pid":12)"); // torn
        CPPUNIT_ASSERT(_launcher.find(attempt.path()).state == Attempt::State::NeverRan);
        CPPUNIT_ASSERT_EQUAL(std::size_t(0), _launcher.endRemains(attempt.path()));
    }

    void testAnotherBootIdIsAReboot()
    {
        const agent::AttemptFolder attempt(_place.folder() / "rebooted");
        attempt.make();
        Order order = orderOfThisBoot();
        order.bootId = agent::newId();
        attempt.write(order);
        const Sleeper bystander;
        launching::writeText(attempt.lockFile(), agent::toJson(claimOf(bystander.stat())));
        CPPUNIT_ASSERT(_launcher.find(attempt.path()).state == Attempt::State::Rebooted);
        CPPUNIT_ASSERT_EQUAL(std::size_t(0), _launcher.endRemains(attempt.path()));
        CPPUNIT_ASSERT(bystander.stat().alive());

        launching::writeText(attempt.path() / "outcome.json", agent::toJson(agent::Outcome()));
        CPPUNIT_ASSERT(_launcher.find(attempt.path()).state == Attempt::State::Ended);
    }

    /// What a power cut may leave of files that nobody synced, and what is on record of their launch.
    void testTheRecordsBootDecidesAfterAPowerCut()
    {
        const agent::AttemptFolder attempt(_place.folder() / "cut");
        const auto stateAt = [&](const std::string& boot)
        { return _launcher.find(attempt.path(), boot).state; };
        const std::string now = agent::bootId();
        CPPUNIT_ASSERT(stateAt("another") == Attempt::State::Rebooted);
        CPPUNIT_ASSERT(stateAt(now) == Attempt::State::NeverRan);
        attempt.make();
        attempt.write(orderOfThisBoot());
        launching::writeText(attempt.lockFile(), std::string(100, '\0'));
        CPPUNIT_ASSERT(stateAt("another") == Attempt::State::Rebooted);

        const std::string whole = agent::toJson(agent::Outcome{.exitCode = 0});
        const fs::path outcome = attempt.path() / "outcome.json";
        launching::writeText(outcome, whole);
        CPPUNIT_ASSERT(stateAt("another") == Attempt::State::Ended);
        launching::writeText(outcome, whole.substr(0, whole.find(",\"crc32c\"")) + "}");
        CPPUNIT_ASSERT(stateAt("another") == Attempt::State::Rebooted);
        CPPUNIT_ASSERT(stateAt(now) == Attempt::State::Ended);
        launching::writeText(outcome, std::string(whole.size(), '\0'));
        CPPUNIT_ASSERT(stateAt("another") == Attempt::State::Rebooted);
        CPPUNIT_ASSERT(stateAt(now) == Attempt::State::NeverRan);
    }

    void testRefusesFilesOfANewerVersion()
    {
        const agent::AttemptFolder attempt(_place.folder() / "newer");
        attempt.make();
        attempt.write(orderOfThisBoot());
        agent::Outcome outcome;
        outcome.version = agent::wireVersion + 1;
        launching::writeText(attempt.path() / "outcome.json", agent::toJson(outcome));
        CPPUNIT_ASSERT_THROW(static_cast<void>(_launcher.find(attempt.path())), std::runtime_error);
    }

    void testFindsAndEndsAStageOfANewerVersion()
    {
        const fs::path folder = _place.attempt();
        const Order order = _place.shell("setsid sleep 300 & sleep 300");
        const Shim shim = _launcher.launch(folder, order, {});
        CPPUNIT_ASSERT(within(10, [&] { return launching::livingOf(order) >= 2; }));
        const agent::AttemptFolder attempt(folder);
        Order newer = attempt.order().value();
        newer.version = agent::wireVersion + 1;
        attempt.write(newer);
        Claim claim = attempt.claim().value();
        claim.version = agent::wireVersion + 1;
        launching::writeText(attempt.lockFile(), agent::toJson(claim));

        const Attempt found = _launcher.find(folder);
        CPPUNIT_ASSERT(found.state == Attempt::State::Running);
        CPPUNIT_ASSERT_EQUAL(shim.pid, found.shim.pid);
        Launcher::kill(found.shim);
        launching::awaitEnd(shim);
        CPPUNIT_ASSERT(_launcher.find(folder).state == Attempt::State::Lost);
        CPPUNIT_ASSERT(within(10, [&] { return _launcher.endRemains(folder) == 0; }));
        CPPUNIT_ASSERT_EQUAL(std::size_t(0), launching::livingOf(order));
        CPPUNIT_ASSERT_THROW(_launcher.launch(folder, order, {}), std::system_error);
    }

    /// A folder like a stage's cgroup that has lost its limits, and one of its controllers.
    void testLimitsAStageAgain()
    {
        const fs::path group = _place.folder() / "stages" / "a.1";
        fs::create_directories(group);
        for (const char* file : {"cgroup.procs", "memory.max", "pids.max"})
            launching::writeText(group / file, "");
        Order order = orderOfThisBoot();
        order.cgroup = group.string();
        order.limits = {.memoryBytes = 1 << 20, .cpuPercent = 50, .pids = 9};
        CPPUNIT_ASSERT_EQUAL(std::string("cpu"), Launcher::limitAgain(order));
        CPPUNIT_ASSERT_EQUAL(std::string("1048576"), textOf(group / "memory.max"));
        CPPUNIT_ASSERT_EQUAL(std::string("9"), textOf(group / "pids.max"));

        order.limits.pids = 0; // a fork bomb is to harm its own stage only
        CPPUNIT_ASSERT_EQUAL(std::string("cpu"), Launcher::limitAgain(order));
        CPPUNIT_ASSERT_EQUAL(std::string("4096"), textOf(group / "pids.max"));

        order.limits.pids = 9;
        order.cgroup.clear();
        CPPUNIT_ASSERT_EQUAL(std::string("memory,cpu,pids"), Launcher::limitAgain(order));
    }

    void loseAStage(const Launcher& launcher, Launcher& starter)
    {
        const fs::path folder = _place.attempt();
        const Order order = _place.shell("setsid sleep 300 & (setsid sh -c 'sleep 300 & wait' &) ;"
                                         " sleep 300");
        const Shim shim = starter.launch(folder, order, {});
        const auto sleeping = [&]
        {
            const auto processes = agent::processesOf(folder);
            return std::count_if(processes.begin(), processes.end(),
                                 [](const agent::ProcessInfo& process)
                                 { return process.comm == "sleep"; }) == 3;
        };
        CPPUNIT_ASSERT(within(10, sleeping));
        Launcher::kill(shim);
        launching::awaitEnd(shim);
        CPPUNIT_ASSERT(launcher.find(folder).state == Attempt::State::Lost);
        CPPUNIT_ASSERT(within(10, [&] { return launcher.endRemains(folder) == 0; }));
        CPPUNIT_ASSERT_EQUAL(std::size_t(0), launching::livingOf(order));
        const auto group = agent::orderFrom(textOf(folder / "order.json")).value().cgroup;
        launcher.forget(folder);
        CPPUNIT_ASSERT(group.empty() || !fs::exists(group));
    }

    void testALostShimLeavesNothingWithoutCgroup() { loseAStage(_launcher, _launcher); }

    void testALostShimLeavesNothingWithCgroup()
    {
        const Cgroup cgroup = Cgroup::open("launcher-" + std::to_string(::getpid()));
        if (!cgroup.available())
        {
            std::cerr << " (no cgroup: " << cgroup.why() << ") ";
            return;
        }
        Launcher starter(launching::shimProgram(), cgroup);
        try
        {
            loseAStage(_launcher, starter);
        }
        catch (...)
        {
            cgroup.removeTree();
            throw;
        }
        cgroup.removeTree();
    }

    void testRemainsOfAReusedPidAreNotTouched()
    {
        const Sleeper stranger;
        const agent::AttemptFolder attempt(_place.folder() / "reused");
        attempt.make();
        attempt.write(orderOfThisBoot());
        Claim claim = claimOf(stranger.stat());
        claim.startTime -= 100;
        launching::writeText(attempt.lockFile(), agent::toJson(claim));
        CPPUNIT_ASSERT(_launcher.find(attempt.path()).state == Attempt::State::Lost);
        CPPUNIT_ASSERT_EQUAL(std::size_t(0), _launcher.endRemains(attempt.path()));
        CPPUNIT_ASSERT(stranger.stat().alive());
    }

    void testLaunchesBesideBusyThreads()
    {
        // Whoever takes a lock between clone and exec hangs sooner or later: the thread that held it
        // is not in the child.
        const auto busy = [](const std::stop_token& over)
        {
            while (!over.stop_requested())
                ::close(::open(std::string(200, '/').c_str(), O_RDONLY | O_CLOEXEC));
        };
        const std::jthread one(busy);
        const std::jthread two(busy);
        std::size_t succeeded = 0;
        for (int i = 0; i < 30; ++i)
        {
            const fs::path folder = _place.attempt();
            const Shim shim = _launcher.launch(folder, _place.shell("exit 0"), {});
            if (waitedFor(folder, shim).outcome.succeeded())
                ++succeeded;
        }
        CPPUNIT_ASSERT_EQUAL(std::size_t(30), succeeded);
    }

    void testLeaksNoDescriptorAndNoChild()
    {
        const auto launchOnce = [&]
        {
            const fs::path folder = _place.attempt();
            const Attempt attempt =
                waitedFor(folder, _launcher.launch(folder, _place.shell("exit 0"), {{"A", "b"}}));
            CPPUNIT_ASSERT(attempt.outcome.succeeded());
        };
        launchOnce();
        const std::size_t before = entriesOf("/proc/self/fd");
        const std::size_t children = launching::childrenOfUs();
        for (int i = 0; i < 200; ++i)
            launchOnce();
        CPPUNIT_ASSERT_EQUAL(before, entriesOf("/proc/self/fd"));
        CPPUNIT_ASSERT_EQUAL(children, launching::childrenOfUs());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LauncherTest);
