#include "agent/process/ProcessTree.h"
#include "tests/support/Launching.h"

#include <algorithm>

#include <sys/prctl.h>

namespace
{

namespace fs = std::filesystem;
using agent::Claim;
using agent::Order;
using agent::ProcessStat;
using launching::Place;
using launching::Sleeper;

/// The claim of a shim that started with `process` and is gone since, under a pid that nobody has.
Claim claimSince(const ProcessStat& process, int pid)
{
    return Claim{
        .pid = pid, .startTime = process.startTime, .bootId = agent::bootId(), .startedAt = 1};
}

/// A pid whose process is gone: it won't come again before all others were used.
int usedPid()
{
    const int pid = launching::forked([] {});
    launching::reap(pid);
    return pid;
}

std::vector<std::string> marksOf(const Order& order)
{
    return {"STAGE_ID=" + order.stageId, "RUN_ID=" + order.runId, "STAGE_ATTEMPT=1"};
}

bool holds(const std::vector<ProcessStat>& processes, int pid)
{
    return std::any_of(processes.begin(), processes.end(),
                       [&](const ProcessStat& process) { return process.pid == pid; });
}

} // namespace

class ProcessTreeTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(ProcessTreeTest);
    CPPUNIT_TEST(testReadsANameWithBracketsAndBlanks);
    CPPUNIT_TEST(testSeesItselfAmongAll);
    CPPUNIT_TEST(testSignalsOnlyTheProcessThatWasMeant);
    CPPUNIT_TEST(testAProcessLivesThatHasLostItsFirstThread);
    CPPUNIT_TEST(testFindsRemainsByEnvironment);
    CPPUNIT_TEST(testFindsDescendantsWithAnEmptyEnvironment);
    CPPUNIT_TEST(testFindsTheSessionOfADeadLeader);
    CPPUNIT_TEST(testAStrangersSessionUnderTheShimsPidIsNotTouched);
    CPPUNIT_TEST(testAnotherAttemptOfTheStageIsNotTouched);
    CPPUNIT_TEST(testNothingOlderThanTheClaimIsTouched);
    CPPUNIT_TEST(testNothingIsLeftOfAnotherBoot);
    CPPUNIT_TEST(testDescribesTheDescendantsOfAShim);
    CPPUNIT_TEST_SUITE_END();

    Place _place;

    [[nodiscard]] Order order() const
    {
        Order order = _place.shell("true");
        order.bootId = agent::bootId();
        return order;
    }

    void testReadsANameWithBracketsAndBlanks()
    {
        const int child = launching::forked(
            []
            {
                ::prctl(PR_SET_NAME, "a) Z 1 (b");
                ::setsid();
                ::pause();
            });
        CPPUNIT_ASSERT(launching::within(5,
                                         [&]
                                         {
                                             const auto stat = agent::processStat(child);
                                             return stat && stat->session == child;
                                         }));
        const auto stat = agent::processStat(child).value();
        CPPUNIT_ASSERT_EQUAL(std::string("a) Z 1 (b"), stat.comm);
        CPPUNIT_ASSERT_EQUAL(static_cast<int>(::getpid()), stat.ppid);
        CPPUNIT_ASSERT(stat.startTime >= agent::processStat(::getpid())->startTime);
        ::kill(child, SIGKILL);
        // Not reaped yet: a zombie is listed, but not alive.
        CPPUNIT_ASSERT(launching::within(
            5, [&] { return !agent::processStat(child).value_or(stat).alive(); }));
        launching::reap(child);
        CPPUNIT_ASSERT(!agent::processStat(child));
    }

    void testSeesItselfAmongAll() { CPPUNIT_ASSERT(holds(agent::allProcesses(), ::getpid())); }

    void testSignalsOnlyTheProcessThatWasMeant()
    {
        const Sleeper sleeper;
        ProcessStat other = sleeper.stat();
        ++other.startTime;
        CPPUNIT_ASSERT(!agent::signalProcess(other, SIGKILL));
        CPPUNIT_ASSERT(sleeper.stat().alive());
        CPPUNIT_ASSERT(agent::signalProcess(sleeper.stat(), SIGKILL));
        CPPUNIT_ASSERT(launching::within(5, [&] { return !sleeper.stat().alive(); }));
    }

    void testAProcessLivesThatHasLostItsFirstThread()
    {
        // Symptom: it was taken for a zombie and the attempt for ended while it went on. Cause: /proc shows the
        // state of the first thread, and no environment. Bound: it is found, described, killed and then gone.
        const Order ours = order();
        const auto before = agent::processStat(::getpid()).value();
        const int pid = launching::forked(
            [&]
            {
                std::vector<std::string> marks = marksOf(ours);
                char* const environment[] = {marks[0].data(), marks[1].data(), marks[2].data(),
                                             nullptr};
                const std::string program = launching::leaderless().string();
                const char* const argv[] = {program.c_str(), nullptr};
                ::execve(argv[0], const_cast<char* const*>(argv), environment);
            });
        CPPUNIT_ASSERT(launching::within(
            10, [&] { return agent::processStat(pid).value_or(before).leaderless(); }));
        CPPUNIT_ASSERT(agent::processStat(pid)->alive());
        const agent::AttemptFolder attempt(_place.attempt());
        attempt.make();
        attempt.write(ours);
        launching::writeText(attempt.lockFile(), agent::toJson(claimSince(before, usedPid())));
        CPPUNIT_ASSERT(launching::within(10,
                                         [&]
                                         {
                                             const auto found = agent::processesOf(attempt.path());
                                             return found.size() == 1 && found[0].pid == pid &&
                                                    found[0].state == 'S';
                                         }));

        const agent::Launcher launcher("/bin/false", agent::Cgroup());
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), launcher.endRemains(attempt.path()));
        CPPUNIT_ASSERT(launching::within(
            10, [&] { return !agent::processStat(pid).value_or(before).alive(); }));
        CPPUNIT_ASSERT_EQUAL(std::size_t(0), launcher.endRemains(attempt.path()));
        launching::reap(pid);
    }

    void testFindsRemainsByEnvironment()
    {
        const Order ours = order();
        const Sleeper marked(marksOf(ours));
        const Sleeper other(marksOf(order()));
        const Sleeper sameStageOtherRun({"STAGE_ID=" + ours.stageId, "RUN_ID=another"});
        const auto found = agent::remainsOf(ours, claimSince(marked.stat(), usedPid()));
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), found.size());
        CPPUNIT_ASSERT_EQUAL(marked.pid(), found.front().pid);
    }

    void testFindsDescendantsWithAnEmptyEnvironment()
    {
        const Order ours = order();
        const auto before = agent::processStat(::getpid()).value();
        const int top = launching::forked(
            [&]
            {
                std::vector<std::string> marks = marksOf(ours);
                char* const environment[] = {marks[0].data(), marks[1].data(), marks[2].data(),
                                             nullptr};
                const char* const argv[] = {
                    "sh", "-c", "/usr/bin/env -i /usr/bin/setsid /bin/sleep 300 & wait", nullptr};
                ::execve("/bin/sh", const_cast<char* const*>(argv), environment);
            });
        const Claim claim = claimSince(before, usedPid());
        std::vector<ProcessStat> found;
        CPPUNIT_ASSERT(launching::within(10,
                                         [&]
                                         {
                                             found = agent::remainsOf(ours, claim);
                                             return std::any_of(found.begin(), found.end(),
                                                                [](const ProcessStat& process) {
                                                                    return process.comm == "sleep";
                                                                });
                                         }));
        CPPUNIT_ASSERT(holds(found, top));
        CPPUNIT_ASSERT(!holds(found, ::getpid()));
        for (const ProcessStat& process : found)
            agent::signalProcess(process, SIGKILL);
        launching::reap(top);
    }

    void testFindsTheSessionOfADeadLeader()
    {
        const Order ours = order();
        const auto before = agent::processStat(::getpid()).value();
        int ends[2];
        CPPUNIT_ASSERT(::pipe(ends) == 0);
        // A leader that leaves two behind: one with the marks, one that has cleared them.
        const int leader = launching::forked(
            [&]
            {
                ::setsid();
                for (const bool marked : {true, false})
                {
                    const int pid = launching::forked(
                        [&]
                        {
                            std::vector<std::string> marks = marksOf(ours);
                            char* const with[] = {marks[0].data(), marks[1].data(), marks[2].data(),
                                                  nullptr};
                            char* const without[] = {nullptr};
                            const char* const argv[] = {"sleep", "300", nullptr};
                            ::execve("/bin/sleep", const_cast<char* const*>(argv),
                                     marked ? with : without);
                        });
                    if (::write(ends[1], &pid, sizeof pid) < 0)
                        ::_exit(1);
                }
            });
        launching::reap(leader);
        int pids[2] = {};
        for (int& pid : pids)
            CPPUNIT_ASSERT(::read(ends[0], &pid, sizeof pid) == sizeof pid);
        ::close(ends[0]);
        ::close(ends[1]);
        const Claim claim = claimSince(before, leader);
        std::vector<ProcessStat> found;
        const bool both = launching::within(10,
                                            [&]
                                            {
                                                found = agent::remainsOf(ours, claim);
                                                return found.size() == 2;
                                            });
        for (const int pid : pids)
            ::kill(pid, SIGKILL);
        CPPUNIT_ASSERT(both);
        CPPUNIT_ASSERT(holds(found, pids[0]) && holds(found, pids[1]));
    }

    void testAStrangersSessionUnderTheShimsPidIsNotTouched()
    {
        // Symptom: a stranger who got the shim's pid and made a session of it has the session that
        // the claim names, and is younger than the claim. Bound: not one of its processes is found.
        const Order ours = order();
        const auto before = agent::processStat(::getpid()).value();
        const Sleeper stranger;
        CPPUNIT_ASSERT_EQUAL(stranger.pid(), stranger.stat().session);
        Claim claim = claimSince(before, stranger.pid());
        CPPUNIT_ASSERT(agent::remainsOf(ours, claim).empty());
        CPPUNIT_ASSERT(stranger.stat().alive());

        // The same with the stranger gone, and a child of its left in the session.
        int ends[2];
        CPPUNIT_ASSERT(::pipe(ends) == 0);
        const int leader = launching::forked(
            [&]
            {
                ::setsid();
                const int pid = launching::forked([] { ::pause(); });
                if (::write(ends[1], &pid, sizeof pid) < 0)
                    ::_exit(1);
            });
        launching::reap(leader);
        int left = 0;
        CPPUNIT_ASSERT(::read(ends[0], &left, sizeof left) == sizeof left);
        ::close(ends[0]);
        ::close(ends[1]);
        claim.pid = leader;
        const bool untouched = agent::remainsOf(ours, claim).empty();
        ::kill(left, SIGKILL);
        CPPUNIT_ASSERT(untouched);
    }

    void testAnotherAttemptOfTheStageIsNotTouched()
    {
        const Order ours = order();
        const Sleeper second(
            {"STAGE_ID=" + ours.stageId, "RUN_ID=" + ours.runId, "STAGE_ATTEMPT=2"});
        CPPUNIT_ASSERT(agent::remainsOf(ours, claimSince(second.stat(), usedPid())).empty());
    }

    void testNothingOlderThanTheClaimIsTouched()
    {
        const Order ours = order();
        const Sleeper marked(marksOf(ours));
        Claim claim = claimSince(marked.stat(), usedPid());
        ++claim.startTime;
        CPPUNIT_ASSERT(agent::remainsOf(ours, claim).empty());
    }

    void testNothingIsLeftOfAnotherBoot()
    {
        Order ours = order();
        const Sleeper marked(marksOf(ours));
        ours.bootId = agent::newId();
        CPPUNIT_ASSERT(agent::remainsOf(ours, claimSince(marked.stat(), usedPid())).empty());
    }

    void testDescribesTheDescendantsOfAShim()
    {
        const int top = launching::forked(
            []
            {
                const char* const argv[] = {"sh", "-c", "(sleep 300 & wait) & wait", nullptr};
                ::execve("/bin/sh", const_cast<char* const*>(argv), nullptr);
            });
        const agent::AttemptFolder attempt(_place.attempt());
        attempt.make();
        attempt.write(order());
        const auto stat = agent::processStat(top).value();
        launching::writeText(attempt.lockFile(), agent::toJson(Claim{.pid = top,
                                                                     .startTime = stat.startTime,
                                                                     .bootId = agent::bootId(),
                                                                     .startedAt = 1}));
        std::vector<agent::ProcessInfo> found;
        const auto sleeps = [](const agent::ProcessInfo& process)
        { return process.comm == "sleep"; };
        CPPUNIT_ASSERT(launching::within(10,
                                         [&]
                                         {
                                             found = agent::processesOf(attempt.path());
                                             return std::any_of(found.begin(), found.end(), sleeps);
                                         }));
        CPPUNIT_ASSERT_EQUAL(std::size_t(2), found.size());
        for (const agent::ProcessInfo& process : found)
        {
            CPPUNIT_ASSERT(process.pid != top);
            CPPUNIT_ASSERT(process.ageMs >= 0 && process.ageMs < 60'000);
            CPPUNIT_ASSERT(process.cpuMs < 10'000);
            ::kill(process.pid, SIGKILL);
        }
        ::kill(top, SIGKILL);
        launching::reap(top);
        CPPUNIT_ASSERT(agent::processesOf(attempt.path()).empty());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ProcessTreeTest);
