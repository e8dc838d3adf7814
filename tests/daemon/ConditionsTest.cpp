// Conditions of stages from outside: docs/conditions.md.
#include "tests/support/AccessFixture.h"
#include "tests/support/OtherBoot.h"
#include "tests/support/Program.h"
#include "tests/support/Targets.h"

#include <cppunit/extensions/HelperMacros.h>

#include <fstream>

using agent::test::AccessFixture;
using agent::test::Answer;
using agent::test::cutPower;
using agent::test::Ended;
using agent::test::eventOf;
using agent::test::listOf;
using agent::test::moveToAnotherBoot;
using agent::test::Receiver;
using agent::test::shell;
using agent::test::waitFor;
using agent::test::writeTarget;

class ConditionsTest: public CppUnit::TestFixture, private AccessFixture
{
    CPPUNIT_TEST_SUITE(ConditionsTest);
    CPPUNIT_TEST(testASkippedStageIsSeenInAllViewsAndTheNineKeysStay);
    CPPUNIT_TEST(testAFollowedRunShowsWhatIsSkippedAndItsLastStages);
    CPPUNIT_TEST(testAKilledDaemonGoesOnWithTheLastStages);
    CPPUNIT_TEST(testAStopIsAnsweredBeforeTheLastStagesAndASecondOneEndsThem);
    CPPUNIT_TEST(testATimeoutIsAFailureTooAndTheLastStagesKnowIt);
    CPPUNIT_TEST(testDrainAndRetentionWaitForTheLastStages);
    CPPUNIT_TEST(testTheEndIsReportedAfterTheLastStages);
    CPPUNIT_TEST(testNothingRunsInAWorkspaceThatMayHaveLostFiles);
    CPPUNIT_TEST(testANewRunOfTheServiceSupersedesTheOlderOne);
    CPPUNIT_TEST(testAnApprovalExpiresOverAKill);
    CPPUNIT_TEST(testOnlyApproversApprove);
    CPPUNIT_TEST_SUITE_END();

public:
    void testASkippedStageIsSeenInAllViewsAndTheNineKeysStay()
    {
        _daemon.writeService("shop",
                             "name: shop\nbranch: main\nstages:\n"
                             "  - { type: BUILD, plugin: shell, with: { command: 'true' } }\n"
                             "  - { type: DEPLOY_PROD, plugin: shell, when: { branch: "
                             "[main] }, with: { command: 'true' } }\n");
        _daemon.start();
        const std::string run = startedOn("shop", "feature/x");
        waitForEnd(run);
        CPPUNIT_ASSERT_EQUAL(std::string("SUCCESS"), _daemon.statusOf(run));
        const auto ids = _daemon.stagesOf(run);
        CPPUNIT_ASSERT_EQUAL(std::string("IDLE"), _daemon.detail(ids[1], "status"));
        CPPUNIT_ASSERT_EQUAL(std::string("branch is feature/x"), _daemon.detail(ids[1], "skipped"));
        const auto list = _daemon.get("/api/stages?runId=" + run).json();
        for (const auto& stage : list.GetArray())
            CPPUNIT_ASSERT_EQUAL(rapidjson::SizeType{9}, stage.MemberCount());
        CPPUNIT_ASSERT_EQUAL(std::string("branch is feature/x"),
                             std::string(_daemon.get("/api/stages?runId=" + run + "&view=detail")
                                             .json()[1]["skipped"]
                                             .GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("branch is feature/x"),
                             std::string(_daemon.get("/api/runs?view=detail")
                                             .json()[0]["stages"][1]["skipped"]
                                             .GetString()));
        assertHas(stagectl({"stages", run}), "skipped");
        assertHas(stagectl({"stages", run}), "branch is feature/x");
        assertHas(stagectl({"stage", ids[1]}), "branch is feature/x");

        const Answer refused =
            _daemon.patch("/api/stages/" + ids[1], R"({"status":"IN_PROGRESS"})");
        CPPUNIT_ASSERT_EQUAL(409, refused.status);
        CPPUNIT_ASSERT_EQUAL(std::string("stage_skipped"), codeOf(refused));

        const std::string main = startedOn("shop", "");
        waitForEnd(main);
        CPPUNIT_ASSERT_EQUAL(std::string("SUCCESS"),
                             _daemon.detail(_daemon.stagesOf(main)[1], "status"));
    }

    void testAFollowedRunShowsWhatIsSkippedAndItsLastStages()
    {
        _daemon.writeService(
            "shop", "name: shop\nstages:\n"
                    "  - { type: UNIT_TEST, plugin: shell, when: { trigger: [MAIN] }, with: { "
                    "command: 'true' } }\n"
                    "  - { type: BUILD, plugin: shell, with: { command: exit 3 } }\n"
                    "  - { type: OTHER, name: clean up, plugin: shell, when: { run: always }, "
                    "with: { command: 'echo \"$RUN_STATUS of $FAILED_STAGE\"' } }\n");
        _daemon.start();
        const Ended ended = runStagectl({"run", "shop", "--follow"});
        CPPUNIT_ASSERT_EQUAL(1, ended.exitCode);
        assertHas(ended.out, "UNIT_TEST IDLE (skipped: trigger is MANUAL)");
        assertHas(ended.out, "OTHER (clean up) | FAILURE of BUILD\n");
        CPPUNIT_ASSERT(ended.out.find("OTHER (clean up) SUCCESS") <
                       ended.out.find("run FAILURE in"));
    }

    /// kill -9 while a stage with `run: always` runs: it is adopted, runs once, and the run ends with it.
    void testAKilledDaemonGoesOnWithTheLastStages()
    {
        _daemon.start();
        const std::string run = _daemon.submit(
            listOf({shell("exit 3"), held(), shell("echo >> " + file("told"), whenFailed)}));
        const auto ids = _daemon.stagesOf(run);
        waitFor("the last stage", [&] { return exists("begun"); });
        _daemon.kill();
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(std::string("FAILURE"), _daemon.statusOf(run));
        CPPUNIT_ASSERT(ofRun(run, "endedAt").empty());
        CPPUNIT_ASSERT_EQUAL(std::string("IN_PROGRESS"), _daemon.detail(ids[1], "status"));
        _daemon.kill();
        release();
        waitFor("its end", [&] { return exists("done"); });
        _daemon.start(); // it ended while there was no daemon
        waitForEnd(run);
        CPPUNIT_ASSERT_EQUAL(std::string("FAILURE"), _daemon.statusOf(run));
        CPPUNIT_ASSERT_EQUAL(std::string("SUCCESS"), _daemon.detail(ids[1], "status"));
        CPPUNIT_ASSERT_EQUAL(std::string("1"), _daemon.detail(ids[1], "attempt"));
        CPPUNIT_ASSERT_EQUAL(std::string("begun\n"), agent::test::contentOf(file("begun")));
        CPPUNIT_ASSERT_EQUAL(std::string("\n"), agent::test::contentOf(file("told")));
    }

    void testAStopIsAnsweredBeforeTheLastStagesAndASecondOneEndsThem()
    {
        _daemon.start();
        const std::string run =
            _daemon.submit(listOf({shell("sleep 971"), held(), shell("true", whenFailed)}));
        const auto ids = _daemon.stagesOf(run);
        _daemon.waitForStage(ids[0], "IN_PROGRESS");
        const Answer first = _daemon.post("/api/runs/" + run + "/stop");
        CPPUNIT_ASSERT_EQUAL(1, first.json()["executionsStopped"].GetInt());
        CPPUNIT_ASSERT(agent::test::processesOf(ids[0]).empty());
        waitFor("the last stage", [&] { return exists("begun"); });
        CPPUNIT_ASSERT(ofRun(run, "endedAt").empty());
        for (const std::string path : {"/rerun", ""})
        {
            const Answer refused = path.empty() ? _daemon.request("DELETE", "/api/runs/" + run)
                                                : _daemon.post("/api/runs/" + run + path);
            CPPUNIT_ASSERT_EQUAL(409, refused.status);
            assertHas(refused.body, "its last stages are at work");
        }
        const Answer second = _daemon.post("/api/runs/" + run + "/stop");
        CPPUNIT_ASSERT_EQUAL(1, second.json()["executionsStopped"].GetInt());
        CPPUNIT_ASSERT(!ofRun(run, "endedAt").empty());
        CPPUNIT_ASSERT(agent::test::processesOf(ids[1]).empty());
        CPPUNIT_ASSERT_EQUAL(std::string("STOPPED"), _daemon.detail(ids[1], "cause"));
        CPPUNIT_ASSERT_EQUAL(std::string("IDLE"), _daemon.detail(ids[2], "status"));
        CPPUNIT_ASSERT_EQUAL(200, _daemon.request("DELETE", "/api/runs/" + run).status);
    }

    void testATimeoutIsAFailureTooAndTheLastStagesKnowIt()
    {
        _daemon.start();
        const std::string run =
            _daemon.submit(listOf({shell("sleep 971", R"("timeout":"100ms","name":"slow")"),
                                   shell("echo $FAILED_STAGE $RUN_STATUS", whenFailed)}));
        waitForEnd(run);
        const auto ids = _daemon.stagesOf(run);
        CPPUNIT_ASSERT_EQUAL(std::string("TIMEOUT"), _daemon.detail(ids[0], "cause"));
        CPPUNIT_ASSERT_EQUAL(std::string("slow FAILURE\n"), _daemon.log(ids[1]));
        CPPUNIT_ASSERT_EQUAL(std::string("TIMEOUT"), ofRun(run, "cause"));
    }

    void testDrainAndRetentionWaitForTheLastStages()
    {
        _daemon.set("runs.keep_count", "1");
        _daemon.set("executor.slots", "2");
        _daemon.start();
        const std::string run = _daemon.submit(listOf({shell("exit 3"), held()}));
        waitFor("the last stage", [&] { return exists("begun"); });
        std::string other;
        for (int i = 0; i < 3; ++i)
        {
            other = _daemon.submit(listOf({shell("true")}));
            waitForEnd(other);
        }
        CPPUNIT_ASSERT_EQUAL(std::string("FAILURE"), _daemon.statusOf(run));
        CPPUNIT_ASSERT_EQUAL(200, _daemon.post("/api/agent/drain").status);
        CPPUNIT_ASSERT_EQUAL(1, _daemon.get("/api/agent").json()["running"].GetInt());
        release();
        waitForEnd(run);
        CPPUNIT_ASSERT_EQUAL(0, _daemon.get("/api/agent").json()["running"].GetInt());
        // Now it counts as one that has ended: the oldest of those goes.
        waitFor("retention",
                [&] { return _daemon.get("/api/runs").json().GetArray().Size() == 1; });
        CPPUNIT_ASSERT_EQUAL(200, _daemon.get("/api/runs/" + run).status);
    }

    void testTheEndIsReportedAfterTheLastStages()
    {
        Receiver receiver;
        writeTarget(_daemon, "all", receiver.url());
        _daemon.start();
        const std::string run = _daemon.submit(listOf({shell("exit 3"), held()}));
        waitFor("the last stage", [&] { return exists("begun"); });
        waitFor("the report of the failure",
                [&] { return told(receiver, "run.changed", "FAILURE") == 1; });
        CPPUNIT_ASSERT_EQUAL(0, told(receiver, "run.ended", "FAILURE"));
        release();
        waitFor("the report of the end",
                [&] { return told(receiver, "run.ended", "FAILURE") == 1; });
        CPPUNIT_ASSERT_EQUAL(std::string("run.ended"),
                             std::string(eventOf(receiver.all().back())["type"].GetString()));
        CPPUNIT_ASSERT_EQUAL(1, told(receiver, "run.changed", "FAILURE"));
    }

    void testNothingRunsInAWorkspaceThatMayHaveLostFiles()
    {
        _daemon.start();
        const std::string run = _daemon.submit(
            listOf({shell("echo > built; sleep 971"), held(), shell("true", whenFailed)}));
        const auto ids = _daemon.stagesOf(run);
        _daemon.waitForStage(ids[0], "IN_PROGRESS");
        waitFor("its command", [&] { return agent::test::processesOf(ids[0]).size() > 1; });
        _daemon.kill();
        cutPower(agent::test::attemptOf(_daemon, run), ids[0]);
        moveToAnotherBoot(_daemon.state());
        _daemon.start();
        waitForEnd(run);
        for (const auto& id : ids)
            CPPUNIT_ASSERT_EQUAL(std::string("HOST_REBOOT"), _daemon.detail(id, "cause"));
        CPPUNIT_ASSERT_EQUAL(std::string("0"), _daemon.detail(ids[1], "attempt"));
        CPPUNIT_ASSERT(!exists("begun"));
    }

    void testANewRunOfTheServiceSupersedesTheOlderOne()
    {
        _daemon.writeService("shop",
                             "name: shop\nbranch: main\nsupersede: true\nstages:\n"
                             "  - { type: BUILD, plugin: shell, with: { command: sleep 971 } }\n");
        _daemon.start();
        const std::string old = startedOn("shop", "main");
        _daemon.waitForStage(_daemon.stagesOf(old)[0], "IN_PROGRESS");
        const std::string queued = startedOn("shop", "side");
        const std::string newer = startedOn("shop", "");
        waitForEnd(old);
        CPPUNIT_ASSERT_EQUAL(std::string("SUPERSEDED"), ofRun(old, "cause"));
        assertHas(_daemon.detail(_daemon.stagesOf(old)[0], "message"), newer);
        startedOn("shop", "side");
        waitForEnd(queued);
        CPPUNIT_ASSERT_EQUAL(std::string("SUPERSEDED"), ofRun(queued, "cause"));
        assertHas(stagectl({"stages", old}), "a newer run took its place");
        CPPUNIT_ASSERT(ofRun(newer, "endedAt").empty());
    }

    void testAnApprovalExpiresOverAKill()
    {
        _daemon.start();
        const std::string run = _daemon.submit(listOf(
            {shell("true"), shell("true", R"("approval":{"required":true,"expires":"2s"})")}));
        const auto ids = _daemon.stagesOf(run);
        _daemon.waitForRun(run, "AWAITING_APPROVAL");
        const std::string until = _daemon.detail(ids[1], "approvalExpiresAt");
        CPPUNIT_ASSERT(!until.empty());
        CPPUNIT_ASSERT_EQUAL(
            until,
            std::string(_daemon.get("/api/runs/" + run).json()["waitingFor"]["until"].GetString()));
        _daemon.kill();
        _daemon.start();
        waitForEnd(run);
        CPPUNIT_ASSERT_EQUAL(std::string("EXPIRED"), _daemon.detail(ids[1], "cause"));
        CPPUNIT_ASSERT_EQUAL(std::string("EXPIRED"), ofRun(run, "cause"));
    }

    void testOnlyApproversApprove()
    {
        _daemon.writeService("shop",
                             "name: shop\nstages:\n"
                             "  - { type: DEPLOY_PROD, plugin: shell, with: { command: 'true' }, "
                             "approval: { required: true, by: [ada, admin] } }\n");
        _daemon.start();
        const std::string eve = token("eve", "operate");
        const std::string ada = token("ada", "operate");
        const std::string run = startedOn("shop", "");
        const auto id = _daemon.stagesOf(run)[0];
        _daemon.waitForRun(run, "AWAITING_APPROVAL");
        for (const Answer& refused :
             {as(eve, "POST", "/api/runs/" + run + "/approve-deployment"),
              as(eve, "PATCH", "/api/stages/" + id, R"({"status":"IN_PROGRESS"})"),
              as(eve, "PATCH", "/api/stages/" + id, R"({"status":"SUCCESS"})"),
              as(eve, "DELETE", "/api/stages/" + id)})
        {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(refused.body, 403, refused.status);
            CPPUNIT_ASSERT_EQUAL(std::string("not_an_approver"), codeOf(refused));
        }
        CPPUNIT_ASSERT_EQUAL(200,
                             as(ada, "POST", "/api/runs/" + run + "/approve-deployment").status);
        waitForEnd(run);
        CPPUNIT_ASSERT_EQUAL(std::string("SUCCESS"), _daemon.statusOf(run));

        const std::string second = startedOn("shop", ""); // the admin's role
        _daemon.waitForRun(second, "AWAITING_APPROVAL");
        CPPUNIT_ASSERT_EQUAL(200,
                             _daemon.post("/api/runs/" + second + "/approve-deployment").status);
    }

private:
    const std::string whenFailed = R"("when":{"run":"failure"})";

    static void assertHas(const std::string& text, const std::string& part)
    {
        CPPUNIT_ASSERT_MESSAGE("'" + part + "' is not in:\n" + text,
                               text.find(part) != std::string::npos);
    }

    std::string file(const std::string& name) const { return (_daemon.folder() / name).string(); }
    bool exists(const std::string& name) const { return std::filesystem::exists(file(name)); }

    /// A stage with `run: always` that writes `begun`, waits for release(), and writes `done`.
    std::string held() const
    {
        return shell("echo begun >> " + file("begun") + "; until test -e " + file("go") +
                         "; do sleep 0.05; done; echo > " + file("done"),
                     R"("when":{"run":"always"})");
    }
    void release() const { std::ofstream(file("go")) << "\n"; }

    std::string startedOn(const std::string& service, const std::string& branch) const
    {
        const Answer made = _daemon.post(
            "/api/runs", R"({"service":")" + service +
                             (branch.empty() ? "\"}" : R"(","branch":")" + branch + "\"}"));
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.body, 201, made.status);
        return made.json()["id"].GetString();
    }

    /// A text of the run; empty for null.
    std::string ofRun(const std::string& run, const char* key) const
    {
        const auto shown = _daemon.get("/api/runs/" + run).json();
        return shown[key].IsString() ? shown[key].GetString() : "";
    }

    void waitForEnd(const std::string& run) const
    {
        waitFor("the end of run " + run, [&] { return !ofRun(run, "endedAt").empty(); });
    }

    static int told(const Receiver& receiver, const std::string& type, const std::string& status)
    {
        int count = 0;
        for (const auto& one : receiver.all())
        {
            const auto event = eventOf(one);
            count += event["type"].GetString() == type &&
                             event["data"]["run"]["status"].GetString() == status
                         ? 1
                         : 0;
        }
        return count;
    }

    Ended runStagectl(std::vector<std::string> arguments) const
    {
        arguments.insert(arguments.begin(),
                         {STAGE_AGENT_BIN_DIR "/stagectl", "--agent", _daemon.url()});
        return agent::test::runProgram(arguments, _daemon.folder());
    }

    std::string stagectl(std::vector<std::string> arguments) const
    {
        const Ended ended = runStagectl(std::move(arguments));
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ended.err, 0, ended.exitCode);
        return ended.out;
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ConditionsTest);
