// The wall clock is set by an hour and by ten years, forth and back, while stages run. Time limits go by
// the monotonic clock: they are right to a second, and no duration is wrong.
#include "tests/support/Daemon.h"
#include "tests/torture/Trial.h"

#include <cppunit/extensions/HelperMacros.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <thread>

using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::waitFor;

namespace
{

using Clock = std::chrono::steady_clock;

constexpr std::int64_t hour = 3'600'000;
constexpr std::int64_t tenYears = 10L * 365 * 24 * hour;

} // namespace

class ClockTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(ClockTest);
    CPPUNIT_TEST(testAnHourForth);
    CPPUNIT_TEST(testAnHourBack);
    CPPUNIT_TEST(testTenYearsForth);
    CPPUNIT_TEST(testTenYearsBack);
    CPPUNIT_TEST(testAnHourForthAndANewDaemon);
    CPPUNIT_TEST(testTenYearsBackAndANewDaemon);
    CPPUNIT_TEST(testAClockSetForthRemovesNoRun);
    CPPUNIT_TEST_SUITE_END();

public:
    void testAnHourForth() { play(hour, false); }
    void testAnHourBack() { play(-hour, false); }
    void testTenYearsForth() { play(tenYears, false); }
    void testTenYearsBack() { play(-tenYears, false); }
    void testAnHourForthAndANewDaemon() { play(hour, true); }
    void testTenYearsBackAndANewDaemon() { play(-tenYears, true); }

    /// Retention goes through what has ended with each end of a run. What was kept for 30 days is not
    /// gone because someone set the clock wrong.
    void testAClockSetForthRemovesNoRun()
    {
        startWithMovedClock();
        const auto kept = shell("echo kept");
        _daemon.waitForRun(kept, "SUCCESS");
        setClock(tenYears);
        for (int i = 0; i < 2;
             ++i) // what the first end finds is gone with the second at the latest
            _daemon.waitForRun(shell("true"), "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(200, _daemon.get("/api/runs/" + kept).status);
        CPPUNIT_ASSERT_EQUAL(std::string("kept\n"), _daemon.log(_daemon.stagesOf(kept).at(0)));
    }

private:
    struct Watched
    {
        std::string name;
        std::string run;
        std::string status;
        std::string cause;
        long limitMs = 0; ///< when it must end
    };

    void startWithMovedClock()
    {
        setClock(0);
        _daemon.setPrograms(STAGE_AGENT_FAILPOINT_DIR);
        _daemon.setEnvironment("STAGE_AGENT_CLOCK_SHIFT", clockFile().string());
        _daemon.set("executor.slots", "8");
        _daemon.start();
    }

    void play(std::int64_t shift, bool restart)
    {
        startWithMovedClock();
        const auto started = _daemon.folder() / "started";
        const std::vector<Watched> all{
            {"own end", shell("echo x >> " + started.string() + "; sleep 1.5"), "SUCCESS", "EXIT",
             1500},
            {"timeout", shell("sleep 30", R"(,"timeout":"1500ms")"), "FAILURE", "TIMEOUT", 1500},
            {"silence", shell("echo 1; sleep 30", R"(,"silence":"1500ms")"), "FAILURE", "SILENT",
             1500},
            {"retry",
             shell("exit $((2 - $STAGE_ATTEMPT))", R"(,"retry":{"attempts":2,"delay":"1500ms"})"),
             "SUCCESS", "EXIT", 0},
            {"lost", shell("echo x >> " + started.string() + "; sleep 30"), "FAILURE", "SHIM_LOST",
             1000},
        };
        waitFor("two stages to begin", [&] { return contentOf(started).size() == 4; });
        const auto begin = Clock::now();
        const std::string waiting = restart ? "" : external();
        std::this_thread::sleep_for(std::chrono::milliseconds(500));
        setClock(shift);
        if (restart)
        {
            _daemon.kill();
            _daemon.start();
        }
        std::this_thread::sleep_until(begin + std::chrono::milliseconds(1000));
        ::kill(shimOf(all.back().run), SIGKILL);
        for (const Watched& watched : all)
            _daemon.waitForRun(watched.run, watched.status);
        if (!waiting.empty())
            _daemon.waitForRun(waiting, "FAILURE");
        const auto took =
            std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
        CPPUNIT_ASSERT_MESSAGE("all took " + std::to_string(took.count()) + " ms",
                               took < std::chrono::seconds(5));
        for (const Watched& watched : all)
            check(watched);
        if (!waiting.empty())
            check({"external", waiting, "FAILURE", "TIMEOUT", 1500});
    }

    void check(const Watched& watched) const
    {
        const auto id = _daemon.stagesOf(watched.run).at(0);
        const long took = std::stol(_daemon.detail(id, "durationMs"));
        const std::string where = watched.name + " took " + std::to_string(took) + " ms";
        CPPUNIT_ASSERT_EQUAL_MESSAGE(where, watched.cause, _daemon.detail(id, "cause"));
        CPPUNIT_ASSERT_MESSAGE(where, took >= watched.limitMs && took <= watched.limitMs + 1000);
        // The run as well, over a new daemon too; in whole seconds, and it began a moment before.
        const auto run = _daemon.get("/api/runs/" + watched.run).json();
        const auto lasted = run["duration"].GetInt64();
        CPPUNIT_ASSERT_MESSAGE(watched.name + ": its run took " + std::to_string(lasted) + " s",
                               lasted >= watched.limitMs / 1000 && lasted <= 6);
    }

    [[nodiscard]] std::string shell(const std::string& command,
                                    const std::string& options = "") const
    {
        return _daemon.submit(R"([{"type":"OTHER","plugin":"shell","with":{"command":")" + command +
                              "\"}" + options + "}]");
    }

    /// A stage without a process, begun by hand: its time limit is the daemon's to keep.
    [[nodiscard]] std::string external() const
    {
        auto run = _daemon.submit(R"([{"type":"OTHER","plugin":"external","timeout":"1500ms"}])");
        _daemon.waitForRun(run, "IN_PROGRESS");
        CPPUNIT_ASSERT_EQUAL(200, _daemon
                                      .patch("/api/stages/" + _daemon.stagesOf(run).at(0),
                                             R"({"status":"IN_PROGRESS"})")
                                      .status);
        return run;
    }

    [[nodiscard]] std::filesystem::path clockFile() const { return _daemon.folder() / "clock"; }

    void setClock(std::int64_t shift) const
    {
        std::ofstream(clockFile().string() + ".new") << shift << '\n';
        std::filesystem::rename(clockFile().string() + ".new", clockFile());
    }

    [[nodiscard]] int shimOf(const std::string& run) const
    {
        const auto claim = agent::claimFrom(contentOf(_daemon.state() / "runs" / run.substr(0, 2) /
                                                      run / "0-OTHER" / "1" / "shim.lock"));
        CPPUNIT_ASSERT(claim.has_value());
        return claim->pid;
    }

    Daemon _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(ClockTest);
