// What holds a stage, what of its limits nothing holds, and what it used.
#include "tests/support/Stages.h"

#include <cppunit/extensions/HelperMacros.h>

#include <sys/sysinfo.h>

using agent::test::attemptOf;
using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::listOf;
using agent::test::processesOf;
using agent::test::shell;
using agent::test::waitFor;

class ContainmentTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(ContainmentTest);
    CPPUNIT_TEST(testWhatHoldsAStageIsShownWhileItRunsAndAfter);
    CPPUNIT_TEST(testTheStartWarnsOnceOfLimitsThatNothingHolds);
    CPPUNIT_TEST(testALimitThatIsHeldIsInTheCgroup);
    CPPUNIT_TEST(testWhatACommandLeftBehindIsTold);
    CPPUNIT_TEST(testUsageIsPlausible);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { _daemon.start(); }

    void testWhatHoldsAStageIsShownWhileItRunsAndAfter()
    {
        const auto id = submitRunning();
        const std::string group = cgroup();
        const std::string held = group.empty() ? "subreaper" : "cgroup";
        const auto missing = expectedMissing(group);
        CPPUNIT_ASSERT_EQUAL(held, _daemon.detail(id, "containment"));
        CPPUNIT_ASSERT_EQUAL(missing, limitsMissing(id));
        _daemon.kill();
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(missing, limitsMissing(id));
        CPPUNIT_ASSERT_EQUAL(200, _daemon.post("/api/runs/" + _run + "/stop").status);
        CPPUNIT_ASSERT_EQUAL(held, _daemon.detail(id, "containment"));
        CPPUNIT_ASSERT_EQUAL(missing, limitsMissing(id));

        // Who asks for no limit lacks none; who has no process is held by nothing.
        const auto run =
            _daemon.submit(listOf({shell("true"), R"({"type":"OTHER","plugin":"external"})"}));
        const auto ids = _daemon.stagesOf(run);
        _daemon.waitForStage(ids[0], "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string(), limitsMissing(ids[0]));
        CPPUNIT_ASSERT_EQUAL(
            200, _daemon.patch("/api/stages/" + ids[1], R"({"status":"IN_PROGRESS"})").status);
        CPPUNIT_ASSERT_EQUAL(std::string("null"), _daemon.detail(ids[1], "containment"));
    }

    void testTheStartWarnsOnceOfLimitsThatNothingHolds()
    {
        submitRunning();
        const auto missing = expectedMissing(cgroup());
        std::size_t warnings = 0;
        const std::string output = _daemon.output();
        for (const char* warning : {"is enforced\n", "limits not enforced"})
            for (auto at = output.find(warning); at != std::string::npos;
                 at = output.find(warning, at + 1))
                ++warnings;
        CPPUNIT_ASSERT_EQUAL_MESSAGE(output, std::size_t(missing.empty() ? 0 : 1), warnings);
    }

    void testALimitThatIsHeldIsInTheCgroup()
    {
        submitRunning();
        const std::filesystem::path group = cgroup();
        if (group.empty())
            return;
        for (const auto& [file, value] : {std::pair("memory.max", "134217728\n"),
                                          {"cpu.max", "50000 100000\n"},
                                          {"pids.max", "64\n"}})
            if (std::filesystem::exists(group / file))
                CPPUNIT_ASSERT_EQUAL(std::string(value), contentOf(group / file));
    }

    /// Symptom: SUCCESS after 4 ms, the helper gone, and not a word. Cause: what a command leaves behind is killed at once, and
    /// nothing told of it. Bound: the log's last line, the note, and a stage that left nothing.
    void testWhatACommandLeftBehindIsTold()
    {
        const auto run = _daemon.submit(
            listOf({shell("sleep 600 & until read c </proc/$!/comm; test $c = sleep; do :; done"),
                    shell("echo clean")}));
        _daemon.waitForRun(run, "SUCCESS");
        const auto ids = _daemon.stagesOf(run);
        CPPUNIT_ASSERT_EQUAL(std::string("LEFT_BEHIND"), _daemon.detail(ids[0], "notes"));
        const auto log = _daemon.get("/api/stages/" + ids[0] + "/log").body;
        CPPUNIT_ASSERT_MESSAGE(
            log,
            log.starts_with("[stage-agent: ended 1 process that the command left behind: sleep ("));
        const auto line = _daemon.get("/api/logs?stageId=" + ids[0]).json();
        CPPUNIT_ASSERT_EQUAL(std::string("stdout"), std::string(line[0]["type"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("null"), _daemon.detail(ids[1], "notes"));
    }

    void testUsageIsPlausible()
    {
        const auto run = _daemon.submit(listOf({shell(
            "perl -e '1 while (times)[0] < 0.3; my $x = q(x) x (64 << 20); print length $x'; "
            "perl -e '1 while (times)[0] < 0.1'")}));
        _daemon.waitForRun(run, "SUCCESS");
        const auto stage = _daemon.get("/api/stages/" + _daemon.stagesOf(run)[0]).json();
        const auto& usage = stage["usage"];
        const auto cpuMs = usage["cpuMs"].GetInt64();
        // No more than all cores had to give.
        const auto most = stage["durationMs"].GetInt64() * ::get_nprocs();
        CPPUNIT_ASSERT_MESSAGE(std::to_string(cpuMs), cpuMs >= 390 && cpuMs <= most + 100);
        const auto peak = usage["maxRssBytes"].GetInt64();
        CPPUNIT_ASSERT_MESSAGE(std::to_string(peak), peak >= 64 << 20 && peak < 512 << 20);
        CPPUNIT_ASSERT(usage["readBytes"].GetInt64() >= 0);
        CPPUNIT_ASSERT(usage["writeBytes"].GetInt64() >= 0);
    }

private:
    /// A stage that asks for every limit there is.
    std::string submitRunning()
    {
        _run = _daemon.submit(
            listOf({shell("sleep 600", R"("limits":{"memory":"128MiB","cpu":"50%","pids":64})")}));
        auto id = _daemon.stagesOf(_run)[0];
        waitFor("the command to run", [&] { return !processesOf(id).empty(); });
        return id;
    }

    /// The stage's own folder as its order names it; empty without one.
    [[nodiscard]] std::string cgroup() const
    {
        rapidjson::Document order;
        order.Parse(contentOf(attemptOf(_daemon, _run) / "order.json"));
        return order["cgroup"].GetString();
    }

    /// By the kernel's own word: a controller is there when its file is.
    static std::string expectedMissing(const std::filesystem::path& group)
    {
        std::string missing;
        for (const std::string controller : {"memory", "cpu", "pids"})
            if (group.empty() || !std::filesystem::exists(group / (controller + ".max")))
                missing += controller + " ";
        return missing;
    }

    [[nodiscard]] std::string limitsMissing(const std::string& id) const
    {
        const auto stage = _daemon.get("/api/stages/" + id).json();
        std::string missing;
        for (const auto& name : stage["limitsMissing"].GetArray())
            missing += std::string(name.GetString()) + " ";
        return missing;
    }

    Daemon _daemon;
    std::string _run;
};

CPPUNIT_TEST_SUITE_REGISTRATION(ContainmentTest);
