#include "tests/support/AccessFixture.h"
#include "tests/support/Orchestrator.h"
#include "tests/support/Stages.h"
#include "tests/support/Targets.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <atomic>
#include <random>

using agent::test::AccessFixture;
using agent::test::listOf;
using agent::test::Orchestrator;
using agent::test::Received;
using agent::test::Receiver;
using agent::test::shell;
using agent::test::waitFor;
using agent::test::writeTarget;

/// What the seamless orchestrator is told: docs/outbox.md.
class SeamlessTest: public CppUnit::TestFixture, private AccessFixture
{
    CPPUNIT_TEST_SUITE(SeamlessTest);
    CPPUNIT_TEST(testEachChangeTellsTheWholeRun);
    CPPUNIT_TEST(testAnApprovalIsAskedFor);
    CPPUNIT_TEST(testALogIsPushedWholeAndInOrder);
    CPPUNIT_TEST(testALogIsPushedWhileItIsWritten);
    CPPUNIT_TEST(testLogsAndStatusesArriveOverOutagesAndKills);
    CPPUNIT_TEST(testOfALongLogTheBeginningIsSentAndWhereTheRestIs);
    CPPUNIT_TEST(testWhatIsRefusedHoldsUpNothing);
    CPPUNIT_TEST_SUITE_END();

public:
    void testEachChangeTellsTheWholeRun()
    {
        Orchestrator seamless;
        target(seamless);
        _daemon.start();
        const std::string run = _daemon.submit(
            listOf({stage("PREPARE", "true"), stage("BUILD", "true"), stage("OTHER", "exit 3")}));
        waitFor("the run's end", [&] { return seamless.status(run) == "FAILURE"; });
        CPPUNIT_ASSERT_EQUAL(std::string("IDLE IN_PROGRESS FAILURE"), seamless.story(run));
        CPPUNIT_ASSERT_EQUAL(std::string("SUCCESS"), seamless.status(run, "prepare"));
        CPPUNIT_ASSERT_EQUAL(std::string("SUCCESS"), seamless.status(run, "build"));
        CPPUNIT_ASSERT_EQUAL(std::string("IDLE"), seamless.status(run, "unitTest"));
        CPPUNIT_ASSERT_EQUAL(std::string(), seamless.status(run, "deployStaging"));
        CPPUNIT_ASSERT_EQUAL(_daemon.stagesOf(run)[1], seamless.idOf(run, "build"));
        CPPUNIT_ASSERT(seamless.idOf(run, "unitTest") != seamless.idOf(run, "codeQuality"));
        CPPUNIT_ASSERT_EQUAL(std::string(), seamless.wrong());
        awaitEmpty();
    }

    void testAnApprovalIsAskedFor()
    {
        Orchestrator seamless;
        target(seamless);
        _daemon.start();
        const std::string run =
            _daemon.submit(R"([{"type":"DEPLOY_STAGING","plugin":"shell","approval":"required",)"
                           R"("with":{"command":"true"}},{"type":"DEPLOY_PROD","plugin":"shell",)"
                           R"("approval":"required","with":{"command":"true"}}])");
        const auto stages = _daemon.stagesOf(run);
        const auto asked = [&](const std::string& stage)
        {
            const auto all = seamless.approvals();
            return all.contains(run) && all.at(run) == stage;
        };
        waitFor("the question", [&] { return asked(stages[0]); });
        waitFor("the run to wait", [&] { return seamless.status(run) == "AWAITING_APPROVAL"; });
        // The next one where an operator skips the first, while the run waits on.
        CPPUNIT_ASSERT_EQUAL(
            200, _daemon.patch("/api/stages/" + stages[0], R"({"status":"SUCCESS"})").status);
        waitFor("the second question", [&] { return asked(stages[1]); });
        waitFor("the stage to wait",
                [&] { return seamless.status(run, "deployProduction") == "AWAITING_APPROVAL"; });
        _daemon.post("/api/runs/" + run + "/approve-deployment");
        waitFor("the end", [&] { return seamless.status(run) == "SUCCESS"; });
        CPPUNIT_ASSERT_EQUAL(std::string(), seamless.wrong());
    }

    void testALogIsPushedWholeAndInOrder()
    {
        Orchestrator seamless;
        target(seamless);
        _daemon.start();
        // Long lines, empty ones, characters that are cut, bytes that are none, and an end without a line's end.
        const std::string run = _daemon.submit(listOf(
            {stage("BUILD", "seq 1 3000; echo; head -c 150000 /dev/zero | tr '\\\\0' 'x'; echo; "
                            "for i in $(seq 3000); do printf 'grün-%s ' $i; done; echo; "
                            "printf '\\\\001%.0s' $(seq 30000); printf 'the end'"),
             stage("UNIT_TEST", "true")}));
        _daemon.waitForRun(run, "SUCCESS");
        const auto stages = _daemon.stagesOf(run);
        const std::string log = _daemon.get("/api/stages/" + stages[0] + "/log").body;
        waitFor(
            "the whole log", [&] { return flat(joined(seamless, stages[0])) == flat(log); }, 60);
        awaitEmpty(); // also that of the stage which wrote nothing
        CPPUNIT_ASSERT_EQUAL(std::string(), seamless.wrong());
        CPPUNIT_ASSERT(seamless.log(stages[1]).empty());
    }

    void testALogIsPushedWhileItIsWritten()
    {
        Orchestrator seamless;
        target(seamless);
        _daemon.start();
        const std::string go = (_daemon.folder() / "go").string();
        const std::string run =
            _daemon.submit(listOf({stage("BUILD", "echo first; until [ -e " + go +
                                                      " ]; do sleep 0.05; done; "
                                                      "echo second; sleep 977")}));
        const std::string id = _daemon.stagesOf(run).front();
        waitFor("the first line",
                [&] { return seamless.log(id) == std::vector<std::string>{"first"}; });
        std::ofstream(go).put('1');
        waitFor("the second line",
                [&] {
                    return seamless.log(id) == std::vector<std::string>{"first", "second"};
                });
        _daemon.post("/api/runs/" + run + "/stop");
        awaitEmpty();
        CPPUNIT_ASSERT_EQUAL(std::string(), seamless.wrong());
    }

    void testLogsAndStatusesArriveOverOutagesAndKills()
    {
        std::atomic<bool> down = false;
        std::atomic<unsigned> asked = std::random_device{}();
        Orchestrator seamless(
            [&](const Received&)
            {
                const auto chance = std::minstd_rand(asked++)() % 100;
                return down || chance < 10 ? Receiver::hangUp : chance < 20 ? 500 : 0;
            });
        target(seamless);
        _daemon.set("executor.slots", "3");
        _daemon.start();
        std::vector<std::string> runs;
        for (int round = 0; round < 6; ++round)
        {
            down = round % 3 == 1;
            runs.push_back(_daemon.submit(
                listOf({stage("BUILD", "for i in $(seq 40); do echo line $i of " +
                                           std::to_string(round) + "; sleep 0.02; done")})));
            const std::string id = _daemon.stagesOf(runs.back()).front();
            _daemon.waitForStage(id, round % 2 == 0 ? "IN_PROGRESS" : "SUCCESS");
            if (!down && round > 0)
                waitFor(
                    "a piece", [&] { return !seamless.log(id).empty(); }, 60);
            _daemon.kill();
            _daemon.start();
        }
        down = false;
        for (const auto& run : runs)
        {
            waitFor(
                "the end of " + run, [&] { return seamless.status(run) == "SUCCESS"; }, 120);
            const std::string id = _daemon.stagesOf(run).front();
            const std::string log = _daemon.get("/api/stages/" + id + "/log").body;
            waitFor(
                "its log", [&] { return joined(seamless, id) == log; }, 60);
        }
        awaitEmpty();
        CPPUNIT_ASSERT_EQUAL(std::string(), seamless.wrong());
    }

    void testOfALongLogTheBeginningIsSentAndWhereTheRestIs()
    {
        Orchestrator seamless;
        target(seamless, "log_bytes: 10\n");
        _daemon.start();
        const std::string run = _daemon.submit(listOf({stage("BUILD", "seq 1 100")}));
        const std::string id = _daemon.stagesOf(run).front();
        _daemon.waitForRun(run, "SUCCESS");
        awaitEmpty();
        const auto log = seamless.log(id);
        CPPUNIT_ASSERT_EQUAL(std::string(), seamless.wrong());
        CPPUNIT_ASSERT_EQUAL_MESSAGE(_daemon.output(), std::size_t(2), log.size());
        CPPUNIT_ASSERT_EQUAL(std::string("1\n2\n3\n4\n5"), log[0]);
        CPPUNIT_ASSERT_MESSAGE(log[1], log[1].find("/api/stages/" + id + "/log]") != log[1].npos);
    }

    void testWhatIsRefusedHoldsUpNothing()
    {
        std::atomic<bool> refuses = true;
        Orchestrator seamless([&](const Received&) { return refuses ? 400 : 0; });
        target(seamless);
        _daemon.start();
        const std::string first = _daemon.submit(listOf({stage("BUILD", "echo hello")}));
        _daemon.waitForRun(first, "SUCCESS");
        awaitEmpty();
        refuses = false;
        const std::string run = _daemon.submit(listOf({stage("BUILD", "echo hello")}));
        waitFor("the next run", [&] { return seamless.status(run) == "SUCCESS"; });
        CPPUNIT_ASSERT_EQUAL(std::string(), seamless.status(first));
    }

private:
    static std::string stage(const std::string& type, const std::string& command)
    {
        return R"({"type":")" + type + R"(","plugin":"shell","with":{"command":")" + command +
               R"("}})";
    }

    void target(const Orchestrator& seamless, const std::string& more = "")
    {
        writeTarget(_daemon, "seamless", seamless.url(), more, "seamless");
    }

    /// Without line ends: a message may end within a line.
    static std::string flat(std::string text)
    {
        std::erase(text, '\n');
        return text;
    }

    static std::string joined(const Orchestrator& seamless, const std::string& stage)
    {
        std::string all;
        for (const auto& message : seamless.log(stage))
            all += message + "\n";
        return all;
    }

    void awaitEmpty()
    {
        waitFor(
            "an empty outbox", [&] { return _daemon.get("/api/outbox").json()["reports"].Empty(); },
            60);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(SeamlessTest);
