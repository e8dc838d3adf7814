// A stage that hangs is reported as stuck, with its processes and last lines, but not ended.
#include "tests/support/Daemon.h"
#include "tests/support/Program.h"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>

using agent::test::Daemon;
using agent::test::runProgram;
using agent::test::waitFor;

namespace
{

std::string one(const std::string& command, const std::string& more = "")
{
    return R"([{"type":"BUILD","plugin":"shell","with":{"command":")" + command + "\"}" + more +
           "}]";
}

} // namespace

class StuckTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(StuckTest);
    CPPUNIT_TEST(testSilentStageIsToldOnceWithWhatItDoes);
    CPPUNIT_TEST(testStagectlListsIt);
    CPPUNIT_TEST(testStageThatPrintsAgainIsNoLongerStuck);
    CPPUNIT_TEST(testStageFarOverItsUsualTimeIsStuck);
    CPPUNIT_TEST(testTypeAndStageHaveTheirOwnTimes);
    CPPUNIT_TEST(testRestartedDaemonStillWatches);
    CPPUNIT_TEST_SUITE_END();

public:
    void testSilentStageIsToldOnceWithWhatItDoes()
    {
        _daemon.set("stage.stuck_after", "1s");
        _daemon.start();
        const auto run = _daemon.submit(one("echo one; echo two; sleep 971"));
        const auto id = _daemon.stagesOf(run)[0];
        waitForStuck(id);
        const auto list = _daemon.get("/api/stuck").json();
        CPPUNIT_ASSERT_EQUAL(rapidjson::SizeType{1}, list.Size());
        const auto& stuck = list[0];
        CPPUNIT_ASSERT_EQUAL(id, std::string(stuck["id"].GetString()));
        CPPUNIT_ASSERT(std::string(stuck["stuckWhy"].GetString()).starts_with("no output for "));
        CPPUNIT_ASSERT_EQUAL(rapidjson::SizeType{2}, stuck["lastLines"].Size());
        CPPUNIT_ASSERT_EQUAL(std::string("two"), std::string(stuck["lastLines"][1].GetString()));
        CPPUNIT_ASSERT(hasSleeper(stuck["processes"]));
        CPPUNIT_ASSERT(hasSleeper(_daemon.get("/api/stages/" + id + "/processes").json()));
        CPPUNIT_ASSERT_EQUAL(1, reported(id, "stuck: no output for "));
        CPPUNIT_ASSERT_EQUAL(1, metric("stage_agent_stages_stuck "));

        CPPUNIT_ASSERT_EQUAL(200,
                             _daemon.patch("/api/stages/" + id, R"({"status":"FAILURE"})").status);
        CPPUNIT_ASSERT_EQUAL(std::string("[]"), _daemon.get("/api/stuck").body);
        CPPUNIT_ASSERT_EQUAL(std::string("null"), _daemon.detail(id, "stuckSince"));
        CPPUNIT_ASSERT_EQUAL(std::string("[]"),
                             _daemon.get("/api/stages/" + id + "/processes").body);
        CPPUNIT_ASSERT_EQUAL(0, metric("stage_agent_stages_stuck "));
        CPPUNIT_ASSERT_EQUAL(1, metric("stage_agent_stages_stuck_total "));
        CPPUNIT_ASSERT_EQUAL(
            1,
            metric("stage_agent_stages_ended_total{service=\"\",type=\"BUILD\",status=\"FAILURE\","
                   "cause=\"OPERATOR\"} "));
        CPPUNIT_ASSERT_EQUAL(1, metric("stage_agent_stage_duration_seconds_bucket{service=\"\","
                                       "type=\"BUILD\",le=\"+Inf\"} "));
        CPPUNIT_ASSERT_EQUAL(
            1, metric("stage_agent_stage_duration_seconds_count{service=\"\",type=\"BUILD\"} "));
    }

    void testStagectlListsIt()
    {
        _daemon.set("stage.stuck_after", "1s");
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(std::string("no stage is stuck\n"), stagectl("stuck"));
        const auto id = _daemon.stagesOf(_daemon.submit(one("echo last words; sleep 974")))[0];
        waitForStuck(id);
        const std::string reported = stagectl("stuck");
        for (const char* part : {id.c_str(), "no output for ", "sleep", "| last words\n"})
            CPPUNIT_ASSERT_MESSAGE(reported, reported.find(part) != std::string::npos);
    }

    void testStageThatPrintsAgainIsNoLongerStuck()
    {
        _daemon.set("stage.stuck_after", "1s");
        _daemon.start();
        const auto go = _daemon.folder() / "go";
        const auto run = _daemon.submit(one("while ! test -e " + go.string() +
                                            "; do sleep 0.1; done; while :; do echo on; "
                                            "sleep 0.2; done"));
        const auto id = _daemon.stagesOf(run)[0];
        waitForStuck(id);
        std::filesystem::create_directory(go);
        waitFor("the stage to be well again",
                [&] { return _daemon.detail(id, "stuckSince") == "null"; });
        CPPUNIT_ASSERT_EQUAL(1, reported(id, "no longer stuck"));
        CPPUNIT_ASSERT_EQUAL(std::string("IN_PROGRESS"), _daemon.detail(id, "status"));
    }

    void testStageFarOverItsUsualTimeIsStuck()
    {
        _daemon.set("stage.stuck_after", "2s");
        _daemon.writeService("usual",
                             "name: usual\nstages:\n  - { type: BUILD, plugin: shell, with: { "
                             "command: 'while test -e " +
                                 (_daemon.folder() / "slow").string() +
                                 "; do echo on; sleep 0.1; done' } }\n");
        _daemon.start();
        for (int i = 0; i < 5; ++i)
            _daemon.waitForRun(_daemon.submitService("usual"), "SUCCESS");
        std::filesystem::create_directory(_daemon.folder() / "slow");
        const auto run = _daemon.submitService("usual");
        const auto id = _daemon.stagesOf(run)[0];
        waitForStuck(id);
        CPPUNIT_ASSERT(_daemon.detail(id, "stuckWhy").starts_with("runs for "));
        CPPUNIT_ASSERT(_daemon.detail(id, "stuckWhy").find(" s, usually ") != std::string::npos);
        std::filesystem::remove(_daemon.folder() / "slow");
        _daemon.waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("null"), _daemon.detail(id, "stuckSince"));
    }

    void testTypeAndStageHaveTheirOwnTimes()
    {
        _daemon.set("stage.stuck_after", "1s");
        _daemon.set("stage.stuck_after.BUILD", "0");
        _daemon.set("executor.slots", "3");
        _daemon.start();
        const auto never = _daemon.stagesOf(_daemon.submit(one("sleep 971")))[0];
        const auto own =
            _daemon.stagesOf(_daemon.submit(one("sleep 972", R"(,"stuck_after":"2s")")))[0];
        waitForStuck(own); // it began last and has the longer time: the first had its chance
        CPPUNIT_ASSERT_EQUAL(std::string("null"), _daemon.detail(never, "stuckSince"));
    }

    void testRestartedDaemonStillWatches()
    {
        _daemon.set("stage.stuck_after", "2s");
        _daemon.start();
        const auto id = _daemon.stagesOf(_daemon.submit(one("echo begun; sleep 973")))[0];
        waitFor("the stage to print", [&] { return _daemon.log(id) == "begun\n"; });
        _daemon.kill();
        _daemon.start();
        waitForStuck(id);
        _daemon.kill();
        _daemon.start();
        CPPUNIT_ASSERT(_daemon.detail(id, "stuckSince") != "null");
        CPPUNIT_ASSERT_EQUAL(1, reported(id, "stuck: no output for "));
    }

private:
    void waitForStuck(const std::string& id) const
    {
        waitFor("the stage to be reported as stuck",
                [&] { return _daemon.detail(id, "stuckSince") != "null"; });
    }

    std::string stagectl(const std::string& verb) const
    {
        const auto ended = runProgram(
            {STAGE_AGENT_BIN_DIR "/stagectl", "--agent", _daemon.url(), verb}, _daemon.folder());
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ended.err, 0, ended.exitCode);
        return ended.out;
    }

    static bool hasSleeper(const rapidjson::Value& processes)
    {
        return std::any_of(processes.Begin(), processes.End(),
                           [](const rapidjson::Value& process)
                           {
                               return process["command"] == "sleep" && process["state"] == "S" &&
                                      process["ageMs"].GetInt64() >= 900;
                           });
    }

    int reported(const std::string& id, const std::string& reason) const
    {
        int count = 0;
        const auto history = _daemon.get("/api/stages/" + id + "/history").json();
        for (const auto& entry : history.GetArray())
            if (entry["reason"].IsString() &&
                std::string(entry["reason"].GetString()).starts_with(reason))
            {
                CPPUNIT_ASSERT_EQUAL(std::string("agent"), std::string(entry["actor"].GetString()));
                CPPUNIT_ASSERT_EQUAL(std::string("IN_PROGRESS"),
                                     std::string(entry["to"].GetString()));
                ++count;
            }
        return count;
    }

    int metric(const std::string& name) const
    {
        const auto page = _daemon.get("/metrics").body;
        const auto at = page.find("\n" + name);
        CPPUNIT_ASSERT_MESSAGE(page, at != std::string::npos);
        return std::stoi(page.substr(at + 1 + name.size()));
    }

    Daemon _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(StuckTest);
