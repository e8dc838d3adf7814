// Death at each place between the end of PREPARE and the stages that stand in the repository: both are on record, or neither.
#include "tests/support/GitOrigin.h"
#include "tests/torture/Games.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <set>

using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::GitOrigin;
using agent::test::Record;
using agent::test::Rounds;
using agent::test::waitFor;

namespace fs = std::filesystem;

class PipelineFileTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(PipelineFileTest);
    CPPUNIT_TEST(testStagesComeWithTheEndOfPrepare);
    CPPUNIT_TEST_SUITE_END();

public:
    void testStagesComeWithTheEndOfPrepare()
    {
        constexpr int most = 9; // commits of a run with its three stages, and some to spare
        std::set<std::string> died;
        Rounds rounds(1);
        rounds.play(
            [&]
            {
                for (const char* place :
                     {"pipeline.read", "pipeline.written", "commit", "committed", "effect"})
                    for (int hit = 1;
                         hit <= (std::string(place).starts_with("pipeline") ? 1 : most); ++hit)
                        if (!rounds.slice() || hit == 1 || rounds.chance(25))
                            if (diesAt(std::string(place) + ":kill@" + std::to_string(hit)))
                                died.insert(place);
            });
        for (const char* place : {"pipeline.read", "pipeline.written", "commit"})
            CPPUNIT_ASSERT_MESSAGE(place, died.contains(place));
    }

private:
    /// Returns whether the daemon died on the way.
    static bool diesAt(const std::string& failpoint)
    {
        Daemon daemon;
        daemon.setPrograms(STAGE_AGENT_FAILPOINT_DIR);
        const GitOrigin origin(daemon.folder() / "origin");
        const fs::path deeds = daemon.folder() / "deeds";
        const std::string does =
            ", plugin: shell, with: {command: echo $STAGE_TYPE >>" + deeds.string() + "}}\n";
        origin.commit(".stage-agent.yaml",
                      "stages:\n  - {type: BUILD" + does + "  - {type: OTHER" + does);
        daemon.writeService("app", "name: app\nrepository: " + origin.path().string() +
                                       "\npipeline: .stage-agent.yaml\n");
        daemon.setEnvironment("STAGE_AGENT_FAILPOINT", failpoint);
        const bool started = daemon.tryStart();
        daemon.setEnvironment("STAGE_AGENT_FAILPOINT", "");
        const std::string body = R"({"service":"app"})";
        const std::map<std::string, std::string> key{{"Idempotency-Key", "one"}};
        try
        {
            if (started)
                daemon.request("POST", "/api/runs", body, key);
        }
        catch (const std::exception&)
        {
            // It died of it.
        }
        waitFor("its death, or the run's end",
                [&]
                {
                    if (!daemon.alive())
                        return true;
                    try
                    {
                        const auto runs = daemon.get("/api/runs?status=SUCCESS,FAILURE").json();
                        return runs.IsArray() && runs.Size() > 0;
                    }
                    catch (const std::exception&)
                    {
                        return false;
                    }
                });
        const bool dead = !daemon.alive();
        if (!dead)
            daemon.kill();
        daemon.start();
        const auto asked = daemon.request("POST", "/api/runs", body, key);
        CPPUNIT_ASSERT_MESSAGE(failpoint + asked.body, asked.status == 200 || asked.status == 201);
        const std::string run = asked.json()["id"].GetString();
        assertAllOrNothing(daemon, failpoint, run);
        daemon.waitForRun(run, "SUCCESS");
        daemon.kill();
        const Record record(daemon.state(), daemon.folder() / "copy");
        record.assertWhole();
        const auto stages = record.stages(run);
        std::string types;
        for (const auto& stage : stages)
        {
            types += (types.empty() ? "" : " ") + stage.type;
            CPPUNIT_ASSERT_EQUAL_MESSAGE(failpoint + stage.type, 1, stage.attempt);
        }
        CPPUNIT_ASSERT_EQUAL_MESSAGE(failpoint, std::string("PREPARE BUILD OTHER"), types);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(failpoint, std::string("BUILD\nOTHER\n"), contentOf(deeds));
        return dead;
    }

    /// At each look, PREPARE is alone and not done, or done and not alone.
    static void assertAllOrNothing(const Daemon& daemon, const std::string& failpoint,
                                   const std::string& run)
    {
        const auto stages = daemon.get("/api/stages?runId=" + run).json();
        CPPUNIT_ASSERT_MESSAGE(failpoint, stages.IsArray() && stages.Size() > 0);
        const bool done = std::string(stages[0]["status"].GetString()) == "SUCCESS";
        CPPUNIT_ASSERT_EQUAL_MESSAGE(failpoint, done ? 3U : 1U, stages.Size());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(PipelineFileTest);
