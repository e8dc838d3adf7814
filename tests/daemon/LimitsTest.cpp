// What the kernel does to a stage that goes beyond its limits. Where cgroup version 2 lacks a controller its test
// is skipped; scripts/test-vm has a kernel with all of them.
#include "tests/support/Stages.h"

#include <cppunit/extensions/HelperMacros.h>

#include <iostream>
#include <sstream>

using agent::test::attemptOf;
using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::listOf;
using agent::test::processesOf;
using agent::test::shell;
using agent::test::waitFor;

class LimitsTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(LimitsTest);
    CPPUNIT_TEST(testMemoryIsTakenFromTheWholeStageAtOnce);
    CPPUNIT_TEST(testWhatADetachedProcessTakesCountsToo);
    CPPUNIT_TEST(testTheRunGoesOnWithItsRetryAfterOom);
    CPPUNIT_TEST(testTheRecordedPeakIsWithinTheLimit);
    CPPUNIT_TEST(testAForkBombEndsAtItsLimit);
    CPPUNIT_TEST(testCpuIsSharedOut);
    CPPUNIT_TEST(testANewDaemonSetsTheLimitsAnew);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { _daemon.start(); }

    void testMemoryIsTakenFromTheWholeStageAtOnce()
    {
        if (!begin(R"("memory":"64MiB")",
                   "sleep 600 & perl -e '$x = q(x) x (256 << 20)'; echo went on"))
            return;
        _daemon.waitForRun(_run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("OOM"), _daemon.detail(_id, "cause"));
        CPPUNIT_ASSERT_EQUAL(std::string("the kernel killed a process of the stage for memory; its "
                                         "limit is 67108864 bytes"),
                             _daemon.detail(_id, "message"));
        CPPUNIT_ASSERT(contentOf(attemptOf(_daemon, _run) / "log").find("went on") ==
                       std::string::npos);
        CPPUNIT_ASSERT(processesOf(_id).empty());
    }

    void testWhatADetachedProcessTakesCountsToo()
    {
        if (!begin(R"("memory":"64MiB")",
                   "setsid perl -e '$x = q(x) x (256 << 20); sleep 600' & wait; sleep 600"))
            return;
        _daemon.waitForRun(_run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("OOM"), _daemon.detail(_id, "cause"));
        CPPUNIT_ASSERT(processesOf(_id).empty());
    }

    void testTheRunGoesOnWithItsRetryAfterOom()
    {
        if (!begin(R"("memory":"64MiB")",
                   "test $STAGE_ATTEMPT = 2 || exec perl -e '$x = q(x) x (256 << 20)'",
                   R"("retry":{"attempts":2,"on":["OOM"]})"))
            return;
        _daemon.waitForRun(_run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("2"), _daemon.detail(_id, "attempt"));
        CPPUNIT_ASSERT(_daemon.get("/api/stages/" + _id + "?attempt=1").body.find(R"("OOM")") !=
                       std::string::npos);
    }

    void testTheRecordedPeakIsWithinTheLimit()
    {
        if (!begin(R"("memory":"96MiB")", "perl -e '$x = q(x) x (24 << 20); print length $x'"))
            return;
        _daemon.waitForRun(_run, "SUCCESS");
        const auto peak = usage("maxRssBytes");
        CPPUNIT_ASSERT_MESSAGE(std::to_string(peak), peak >= 24 << 20 && peak <= 96 << 20);
    }

    void testAForkBombEndsAtItsLimit()
    {
        if (!begin(R"("pids":40)", "bomb() { bomb | bomb & }; bomb; while :; do sleep 0.1; done"))
            return;
        const std::filesystem::path group = cgroup();
        waitFor("the kernel to refuse more", [&] { return refusals(group) > 0; });
        std::istringstream peak(contentOf(group / "pids.peak")); // since Linux 6.1
        if (int most = 0; peak >> most)
            CPPUNIT_ASSERT_MESSAGE(std::to_string(most), most <= 40);
        CPPUNIT_ASSERT_EQUAL(200, _daemon.post("/api/runs/" + _run + "/stop").status);
        CPPUNIT_ASSERT_EQUAL(std::string("STOPPED"), _daemon.detail(_id, "cause"));
        CPPUNIT_ASSERT(processesOf(_id).empty());
        CPPUNIT_ASSERT(!std::filesystem::exists(group));
    }

    void testCpuIsSharedOut()
    {
        // More than one spins: the limit is the stage's, not each process's.
        if (!begin(R"("cpu":"20%")", "for i in 1 2 3; do perl -e 'my $end = time + 4; 1 while time "
                                     "< $end' & done; wait"))
            return;
        _daemon.waitForRun(_run, "SUCCESS");
        const auto took = _daemon.get("/api/stages/" + _id).json()["durationMs"].GetInt64();
        const auto cpuMs = usage("cpuMs");
        // One period of 100 ms more than its share: the last that was begun.
        CPPUNIT_ASSERT_MESSAGE(std::to_string(cpuMs) + " of " + std::to_string(took),
                               cpuMs > 0 && cpuMs <= took / 5 + 100);
    }

    void testANewDaemonSetsTheLimitsAnew()
    {
        if (!begin(R"("memory":"128MiB","pids":40,"cpu":"50%")", "sleep 600"))
            return;
        const std::filesystem::path group = cgroup();
        _daemon.kill();
        for (const std::string file : {"memory.max", "pids.max", "cpu.max"})
            std::ofstream(group / file) << "max";
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(std::string("134217728\n"), contentOf(group / "memory.max"));
        CPPUNIT_ASSERT_EQUAL(std::string("40\n"), contentOf(group / "pids.max"));
        CPPUNIT_ASSERT_EQUAL(std::string("50000 100000\n"), contentOf(group / "cpu.max"));
        CPPUNIT_ASSERT_EQUAL(200, _daemon.post("/api/runs/" + _run + "/stop").status);
    }

private:
    /// Submits a stage that does `command`; false, and it says so, where nothing holds the limits.
    bool begin(const std::string& limits, const std::string& command, const std::string& more = "")
    {
        _run = _daemon.submit(
            listOf({shell("until test -e go; do sleep 0.05; done; " + command,
                          R"("limits":{)" + limits + "}" + (more.empty() ? "" : ",") + more)}));
        _id = _daemon.stagesOf(_run)[0];
        waitFor("the command to run", [&] { return !processesOf(_id).empty(); });
        if (!_daemon.get("/api/stages/" + _id).json()["limitsMissing"].Empty())
        {
            std::cout << " (skipped: cgroup version 2 lacks a controller here) " << std::flush;
            CPPUNIT_ASSERT_EQUAL(200, _daemon.post("/api/runs/" + _run + "/stop").status);
            return false;
        }
        std::ofstream(attemptOf(_daemon, _run).parent_path().parent_path() / "workspace" / "go")
            << "";
        return true;
    }

    [[nodiscard]] std::int64_t usage(const char* what) const
    {
        return _daemon.get("/api/stages/" + _id).json()["usage"][what].GetInt64();
    }

    [[nodiscard]] std::string cgroup() const
    {
        rapidjson::Document order;
        order.Parse(contentOf(attemptOf(_daemon, _run) / "order.json"));
        return order["cgroup"].GetString();
    }

    static long refusals(const std::filesystem::path& group)
    {
        std::istringstream events(contentOf(group / "pids.events"));
        std::string name;
        long count = 0;
        while (events >> name >> count)
            if (name == "max")
                return count;
        return 0;
    }

    Daemon _daemon;
    std::string _run;
    std::string _id;
};

CPPUNIT_TEST_SUITE_REGISTRATION(LimitsTest);
