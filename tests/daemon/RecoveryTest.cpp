// A stage outlives its agent: what a new daemon finds and does after the last one was killed.
#include "tests/support/Daemon.h"

#include <cppunit/extensions/HelperMacros.h>

#include <csignal>

using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::waitFor;

class RecoveryTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(RecoveryTest);
    CPPUNIT_TEST(testStageGoesOnOverKillAndItsEndIsTrue);
    CPPUNIT_TEST(testStageThatEndedMeanwhileIsRecordedWithItsOwnTimes);
    CPPUNIT_TEST(testStageGoesOnOverRestart);
    CPPUNIT_TEST(testLostShimIsFailureAndLeavesNoProcess);
    CPPUNIT_TEST(testShimLostWhileTheDaemonWasDown);
    CPPUNIT_TEST(testQueueAndApprovalsSurvive);
    CPPUNIT_TEST(testSecondDaemonOnTheSameStateRefuses);
    CPPUNIT_TEST_SUITE_END();

public:
    void testStageGoesOnOverKillAndItsEndIsTrue()
    {
        const auto go = _daemon.folder() / "go";
        const auto run =
            submitCounting("while ! test -e " + go.string() + "; do sleep 0.1; done; exit 0");
        const auto ids = _daemon.stagesOf(run);
        waitFor("the stage to execute", [&] { return executions() == 1; });
        _daemon.kill();
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(std::string("IN_PROGRESS"), _daemon.detail(ids[0], "status"));
        std::filesystem::create_directory(go);
        _daemon.waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(1, executions());
        CPPUNIT_ASSERT_EQUAL(std::string("0"), _daemon.detail(ids[0], "exitCode"));
        // From before the kill to after the restart: it is its own time, not the new daemon's.
        CPPUNIT_ASSERT(std::stoll(_daemon.detail(ids[0], "durationMs")) >= 100);
        CPPUNIT_ASSERT_EQUAL(std::string("after\n"), _daemon.log(ids[1]));
    }

    void testStageThatEndedMeanwhileIsRecordedWithItsOwnTimes()
    {
        const auto run = submitCounting("sleep 0.4; exit 5");
        const auto id = _daemon.stagesOf(run)[0];
        waitFor("the stage to execute", [&] { return executions() == 1; });
        _daemon.kill();
        waitFor("the outcome", [&] { return !outcomeOf(run).empty(); });
        _daemon.start();
        _daemon.waitForRun(run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("EXIT"), _daemon.detail(id, "cause"));
        CPPUNIT_ASSERT_EQUAL(std::string("5"), _daemon.detail(id, "exitCode"));
        CPPUNIT_ASSERT(std::stoll(_daemon.detail(id, "durationMs")) < 5000);
        CPPUNIT_ASSERT_EQUAL(1, executions());
    }

    void testStageGoesOnOverRestart()
    {
        const auto go = _daemon.folder() / "go";
        const auto run =
            submitCounting("while ! test -e " + go.string() + "; do sleep 0.1; done; exit 0");
        waitFor("the stage to execute", [&] { return executions() == 1; });
        CPPUNIT_ASSERT_EQUAL(0, _daemon.stop());
        _daemon.start();
        std::filesystem::create_directory(go);
        _daemon.waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(1, executions());
    }

    void testLostShimIsFailureAndLeavesNoProcess()
    {
        const auto run = submitCounting("setsid sleep 971 & sleep 972");
        const auto id = _daemon.stagesOf(run)[0];
        waitFor("its processes", [&] { return processes(id) >= 2; });
        ::kill(shimOf(run), SIGKILL);
        _daemon.waitForRun(run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("SHIM_LOST"), _daemon.detail(id, "cause"));
        CPPUNIT_ASSERT_EQUAL(0, processes(id));
    }

    void testShimLostWhileTheDaemonWasDown()
    {
        const auto run = submitCounting("sleep 973");
        const auto id = _daemon.stagesOf(run)[0];
        waitFor("its processes", [&] { return processes(id) >= 1; });
        _daemon.kill();
        ::kill(shimOf(run), SIGKILL);
        _daemon.start();
        _daemon.waitForRun(run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("SHIM_LOST"), _daemon.detail(id, "cause"));
        CPPUNIT_ASSERT_EQUAL(0, processes(id));
        CPPUNIT_ASSERT_EQUAL(1, executions());
    }

    void testQueueAndApprovalsSurvive()
    {
        const auto gated = _daemon.submit(
            R"([{"type":"DEPLOY_PROD","plugin":"shell","with":{"command":"true"},"approval":"required"}])");
        _daemon.waitForRun(gated, "AWAITING_APPROVAL");
        const auto first = submitCounting("sleep 1");
        const auto second = submitCounting("true");
        waitFor("the first to execute", [&] { return executions() >= 1; });
        _daemon.kill();
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(std::string("AWAITING_APPROVAL"), _daemon.statusOf(gated));
        _daemon.waitForRun(first, "SUCCESS");
        _daemon.waitForRun(second, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(2, executions());
        CPPUNIT_ASSERT_EQUAL(200,
                             _daemon.post("/api/runs/" + gated + "/approve-deployment").status);
        _daemon.waitForRun(gated, "SUCCESS");
    }

    void testSecondDaemonOnTheSameStateRefuses()
    {
        std::string output;
        CPPUNIT_ASSERT(_daemon.runToEnd({}, output) != 0);
        CPPUNIT_ASSERT_MESSAGE(output, output.find("another stage-agent (pid " +
                                                   std::to_string(_daemon.pid()) + ")") !=
                                           std::string::npos);
    }

    void setUp() override
    {
        _daemon.set("executor.slots", "1");
        _daemon.start();
    }

private:
    /// Two stages; the first tells each of its executions to a file outside the agent's reach.
    std::string submitCounting(const std::string& command)
    {
        return _daemon.submit(
            R"([{"type":"BUILD","plugin":"shell","with":{"command":"echo x >> )" + counter() +
            "; " + command +
            R"("}},{"type":"OTHER","plugin":"shell","with":{"command":"echo after"}}])");
    }

    [[nodiscard]] std::string counter() const { return (_daemon.folder() / "executions").string(); }

    [[nodiscard]] int executions() const
    {
        return static_cast<int>(contentOf(counter()).size() / 2);
    }

    [[nodiscard]] std::filesystem::path attemptOf(const std::string& run) const
    {
        return _daemon.state() / "runs" / run.substr(0, 2) / run / "0-BUILD" / "1";
    }

    [[nodiscard]] std::string outcomeOf(const std::string& run) const
    {
        return contentOf(attemptOf(run) / "outcome.json");
    }

    [[nodiscard]] int shimOf(const std::string& run) const
    {
        rapidjson::Document claim;
        claim.Parse(contentOf(attemptOf(run) / "shim.lock"));
        return claim["pid"].GetInt();
    }

    static int processes(const std::string& id)
    {
        int count = 0;
        for (const auto& entry : std::filesystem::directory_iterator("/proc"))
            if (contentOf(entry.path() / "environ").find("STAGE_ID=" + id) != std::string::npos)
                ++count;
        return count;
    }

    Daemon _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(RecoveryTest);
