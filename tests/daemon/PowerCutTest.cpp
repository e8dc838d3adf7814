// The next start after a power cut (docs/durability.md): what the record says of stages that had ended, and what
// becomes of runs that waited. Their files were not on disk when the host went down.
#include "tests/support/OtherBoot.h"
#include "tests/support/Stages.h"

#include <cppunit/extensions/HelperMacros.h>

#include <filesystem>
#include <functional>

using agent::test::attemptOf;
using agent::test::Daemon;
using agent::test::listOf;
using agent::test::processesOf;
using agent::test::shell;
using agent::test::waitFor;

class PowerCutTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(PowerCutTest);
    CPPUNIT_TEST(testALogThatTheCutShortenedIsNoted);
    CPPUNIT_TEST(testALogOfZerosIsNoted);
    CPPUNIT_TEST(testARunThatWaitsForAnApprovalGoesNowhere);
    CPPUNIT_TEST(testARunThatWaitsForARetryEndsByItself);
    CPPUNIT_TEST(testARunThatHasExecutedNothingYetGoesOn);
    CPPUNIT_TEST_SUITE_END();

public:
    void testALogThatTheCutShortenedIsNoted()
    {
        _daemon.start();
        run({shell("echo kept"), shell("echo printed; echo more")});
        _daemon.waitForRun(_run, "SUCCESS");
        cutPower([this] { std::filesystem::resize_file(folder(1) / "log", 3); });
        CPPUNIT_ASSERT_EQUAL(std::string("SUCCESS"), _daemon.statusOf(_run)); // the end stands
        CPPUNIT_ASSERT(!cutIsNoted(0));
        CPPUNIT_ASSERT(cutIsNoted(1));
        CPPUNIT_ASSERT_EQUAL(std::string("pri"), _daemon.log(_ids[1]));
    }

    void testALogOfZerosIsNoted()
    {
        _daemon.start();
        run({shell("echo printed")});
        _daemon.waitForRun(_run, "SUCCESS");
        cutPower(
            [this]
            {
                std::filesystem::resize_file(folder(0) / "log", 0);
                std::filesystem::resize_file(folder(0) / "log", 8);
            });
        CPPUNIT_ASSERT(cutIsNoted(0));
    }

    void testARunThatWaitsForAnApprovalGoesNowhere()
    {
        _daemon.start();
        run({shell("echo > built"), R"({"type":"DEPLOY_PROD","plugin":"shell",)"
                                    R"("with":{"command":"true"},"approval":"required"})"});
        _daemon.waitForRun(_run, "AWAITING_APPROVAL");
        cutPower();
        CPPUNIT_ASSERT_EQUAL(std::string("AWAITING_APPROVAL"), _daemon.statusOf(_run));
        const auto approved = _daemon.post("/api/runs/" + _run + "/approve-deployment");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(approved.body, 409, approved.status);
        CPPUNIT_ASSERT(approved.body.find("workspace_unsynced") != std::string::npos);
        CPPUNIT_ASSERT(approved.body.find("stop the run, then rerun it") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::string("AWAITING_APPROVAL"), _daemon.statusOf(_run));
        CPPUNIT_ASSERT_EQUAL(std::string("0"), _daemon.detail(_ids[1], "attempt"));
        CPPUNIT_ASSERT_EQUAL(200, _daemon.post("/api/runs/" + _run + "/stop").status);
        const auto again = _daemon.post("/api/runs/" + _run + "/rerun"); // in its own workspace
        CPPUNIT_ASSERT_EQUAL_MESSAGE(again.body, 200, again.status);
    }

    void testARunThatWaitsForARetryEndsByItself()
    {
        _daemon.start();
        run({shell("echo > built"), shell("exit 3", R"("retry":{"attempts":2,"delay":"2s"})")});
        waitFor("the delay of the retry",
                [&]
                {
                    return _daemon.detail(_ids[1], "attempt") == "1" &&
                           _daemon.detail(_ids[1], "status") == "IDLE";
                });
        cutPower();
        _daemon.waitForRun(_run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("HOST_REBOOT"), _daemon.detail(_ids[1], "cause"));
        CPPUNIT_ASSERT_EQUAL(std::string("1"), _daemon.detail(_ids[1], "attempt"));
        CPPUNIT_ASSERT(_daemon.detail(_ids[1], "message").find("rerun the run") !=
                       std::string::npos);
    }

    void testARunThatHasExecutedNothingYetGoesOn()
    {
        _daemon.set("executor.slots", "1");
        _daemon.start();
        const auto first = _daemon.submit(listOf({shell("sleep 600")}));
        run({shell("echo > built; echo went on")});
        const auto stage = _daemon.stagesOf(first)[0];
        waitFor("the command to run", [&] { return !processesOf(stage).empty(); });
        cutPower([&] { agent::test::cutPower(attemptOf(_daemon, first), stage); });
        _daemon.waitForRun(first, "FAILURE");
        _daemon.waitForRun(_run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("went on\n"), _daemon.log(_ids[0]));
    }

private:
    void run(std::initializer_list<std::string> stages)
    {
        _run = _daemon.submit(listOf(stages));
        _ids = _daemon.stagesOf(_run);
    }

    /// No sync is known, `lose` takes from the files, and the host boots again. No stage runs.
    void cutPower(const std::function<void()>& lose = [] {})
    {
        _daemon.kill();
        agent::test::forgetSyncs(_daemon.state());
        agent::test::moveToAnotherBoot(_daemon.state());
        lose();
        _daemon.start();
    }

    [[nodiscard]] std::filesystem::path folder(std::size_t ordinal) const
    {
        for (const auto& entry : std::filesystem::directory_iterator(_daemon.state() / "runs" /
                                                                     _run.substr(0, 2) / _run))
            if (entry.path().filename().string().starts_with(std::to_string(ordinal) + "-"))
                return entry.path() / "1";
        CPPUNIT_FAIL("no folder of the stage");
        return {};
    }

    [[nodiscard]] bool cutIsNoted(std::size_t ordinal) const
    {
        return _daemon.get("/api/stages/" + _ids.at(ordinal))
                   .body.find(R"("LOG_CUT_BY_POWER_LOSS")") != std::string::npos;
    }

    Daemon _daemon;
    std::string _run;
    std::vector<std::string> _ids;
};

CPPUNIT_TEST_SUITE_REGISTRATION(PowerCutTest);
