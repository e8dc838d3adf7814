// The table of what a PATCH of a stage's status does, row by row, on real processes. The rows that are here
// for the first time; StagesApiTest, OverridesTest and UndyingTest have the others.
#include "tests/support/Stages.h"

#include <cppunit/extensions/HelperMacros.h>

#include <future>

using agent::test::Answer;
using agent::test::Daemon;
using agent::test::listOf;
using agent::test::processesOf;
using agent::test::shell;
using agent::test::waitFor;

namespace
{

const std::string external = R"({"type":"DEPLOY_STAGING","plugin":"external"})";

} // namespace

class PatchTableTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(PatchTableTest);
    CPPUNIT_TEST(testIdleStageStartsByHandWithoutASlot);
    CPPUNIT_TEST(testIdleStageStartsOnlyAfterThoseBeforeIt);
    CPPUNIT_TEST(testIdleStageAfterAFailedOneDoesNotStart);
    CPPUNIT_TEST(testNextStageOfAStoppedRunStartsByHand);
    CPPUNIT_TEST(testNextStageOfAStoppedRunIsSkippedAndTheRunGoesOn);
    CPPUNIT_TEST(testRunningStageEndsWithTheTimesThatAreGiven);
    CPPUNIT_TEST(testReasonAloneIsKeptInTheHistory);
    CPPUNIT_TEST(testEndedByHandAsFailureEndsTheRunAndNothingLater);
    CPPUNIT_TEST(testTheDecisionIsCarriedThroughARestart);
    CPPUNIT_TEST(testExternalStageEndsAsItIsToldTo);
    CPPUNIT_TEST(testAwaitingStageIsSkippedAndTheNextGoesOn);
    CPPUNIT_TEST(testTriedAgainClearsAllAfterItAndKeepsTheOldLog);
    CPPUNIT_TEST(testTriedAgainIsFirstInTheQueue);
    CPPUNIT_TEST(testToTheStatusItHasNothingChanges);
    CPPUNIT_TEST(testAllElseIsRefusedWithWhatIsPossible);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override
    {
        _daemon.set("executor.slots", "1");
        _daemon.start();
    }

    void testIdleStageStartsByHandWithoutASlot()
    {
        const auto first = running();
        const auto run = _daemon.submit(listOf({shell("echo by hand")}));
        const auto id = _daemon.stagesOf(run)[0];
        CPPUNIT_ASSERT_EQUAL(std::string("IDLE"), _daemon.statusOf(run));
        assertDone(patch(id, "IN_PROGRESS"));
        _daemon.waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("by hand\n"), _daemon.log(id));
        CPPUNIT_ASSERT_EQUAL(std::string("IN_PROGRESS"), _daemon.detail(first, "status"));
    }

    void testIdleStageStartsOnlyAfterThoseBeforeIt()
    {
        const auto run = _daemon.submit(listOf({shell("sleep 900"), shell("echo early")}));
        const auto ids = _daemon.stagesOf(run);
        _daemon.waitForStage(ids[0], "IN_PROGRESS");
        assertRefused("stage_not_due", patch(ids[1], "IN_PROGRESS"));
        CPPUNIT_ASSERT_EQUAL(std::string("IDLE"), _daemon.detail(ids[1], "status"));
        CPPUNIT_ASSERT(processesOf(ids[1]).empty());
    }

    void testIdleStageAfterAFailedOneDoesNotStart()
    {
        const auto run = _daemon.submit(listOf({shell("exit 1"), shell("echo late")}));
        _daemon.waitForRun(run, "FAILURE");
        const auto ids = _daemon.stagesOf(run);
        assertRefused("stage_not_due", patch(ids[1], "IN_PROGRESS"));
        assertDone(patch(ids[1], "SUCCESS")); // skipped, which does not make the failed one good
        CPPUNIT_ASSERT_EQUAL(std::string("FAILURE"), _daemon.statusOf(run));
    }

    void testNextStageOfAStoppedRunStartsByHand()
    {
        const auto busy = running();
        const auto run = stopped({shell("echo 1"), shell("echo 2")});
        const auto ids = _daemon.stagesOf(run);
        assertRefused("stage_not_due", patch(ids[1], "IN_PROGRESS"));
        assertDone(patch(ids[0], "IN_PROGRESS"));
        waitFor("the log", [&] { return _daemon.log(ids[0]) == "1\n"; });
        // What follows needs no slot of its own: the run holds the one that was taken by hand.
        _daemon.waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("2\n"), _daemon.log(ids[1]));
        CPPUNIT_ASSERT_EQUAL(std::string("IN_PROGRESS"), _daemon.detail(busy, "status"));
        CPPUNIT_ASSERT(!_daemon.get("/api/runs/" + run).json()["endedAt"].IsNull());
    }

    void testNextStageOfAStoppedRunIsSkippedAndTheRunGoesOn()
    {
        const auto busy = running();
        const auto run = stopped({shell("echo 1"), shell("echo 2")});
        const auto ids = _daemon.stagesOf(run);
        assertDone(patch(ids[1], "SUCCESS"));
        CPPUNIT_ASSERT_EQUAL(std::string("FAILURE"),
                             _daemon.statusOf(run)); // that was not the next
        assertDone(patch(ids[0], "SUCCESS"));
        CPPUNIT_ASSERT_EQUAL(std::string("SUCCESS"), _daemon.statusOf(run));

        const auto longer = stopped({shell("echo 1"), shell("echo 2")});
        assertDone(patch(_daemon.stagesOf(longer)[0], "SUCCESS"));
        CPPUNIT_ASSERT_EQUAL(std::string("IDLE"), _daemon.statusOf(longer)); // in the queue again
        assertDone(patch(busy, "SUCCESS"));
        _daemon.waitForRun(longer, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("2\n"), _daemon.log(_daemon.stagesOf(longer)[1]));
    }

    void testRunningStageEndsWithTheTimesThatAreGiven()
    {
        const auto id = running();
        const std::string path = "/api/stages/" + id;
        assertDone(_daemon.patch(path, R"({"startedAt":"2024-01-01T00:00:00.500Z"})"));
        const auto refused = _daemon.patch(
            path, R"({"status":"SUCCESS","endedAt":"2024-01-01T00:00:03Z","duration":2})");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(refused.body, 400, refused.status);
        CPPUNIT_ASSERT_EQUAL(400,
                             _daemon.patch(path, R"({"status":"SUCCESS","duration":3})").status);
        CPPUNIT_ASSERT(!processesOf(id).empty());
        assertDone(_daemon.patch(
            path, R"({"status":"SUCCESS","endedAt":"2024-01-01T00:00:03Z","duration":3})"));
        CPPUNIT_ASSERT_EQUAL(std::string("2024-01-01T00:00:00.500Z"),
                             _daemon.detail(id, "startedAt"));
        CPPUNIT_ASSERT_EQUAL(std::string("2024-01-01T00:00:03.000Z"),
                             _daemon.detail(id, "endedAt"));
        CPPUNIT_ASSERT_EQUAL(std::string("3"), _daemon.detail(id, "duration"));

        // Also by the start as the record tells it: what was agreed to is what is recorded.
        const auto other = running();
        const auto started = _daemon.detail(other, "startedAt");
        assertDone(_daemon.patch("/api/stages/" + other, R"({"status":"FAILURE","endedAt":")" +
                                                             started + R"(","duration":0})"));
        CPPUNIT_ASSERT_EQUAL(started, _daemon.detail(other, "startedAt"));
        CPPUNIT_ASSERT_EQUAL(std::string("0"), _daemon.detail(other, "duration"));
    }

    void testReasonAloneIsKeptInTheHistory()
    {
        const auto run = _daemon.submit(listOf({shell("true")}));
        _daemon.waitForRun(run, "SUCCESS");
        const auto id = _daemon.stagesOf(run)[0];
        const auto before = _daemon.get("/api/stages/" + id).json();
        assertDone(_daemon.patch("/api/stages/" + id, R"({"reason":"seen by ops"})"));
        CPPUNIT_ASSERT(before["version"].GetInt64() < std::stoll(_daemon.detail(id, "version")));
        CPPUNIT_ASSERT_EQUAL(std::string(before["endedAt"].GetString()),
                             _daemon.detail(id, "endedAt"));
        const auto history = _daemon.get("/api/stages/" + id + "/history").json();
        const auto& last = history[history.Size() - 1];
        CPPUNIT_ASSERT_EQUAL(std::string("seen by ops"), std::string(last["reason"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("SUCCESS"), std::string(last["from"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("SUCCESS"), std::string(last["to"].GetString()));
        CPPUNIT_ASSERT_EQUAL(_daemon.detail(id, "updatedAt"), std::string(last["at"].GetString()));
    }

    void testEndedByHandAsFailureEndsTheRunAndNothingLater()
    {
        const auto run = _daemon.submit(listOf({shell("sleep 900"), shell("echo next")}));
        const auto ids = _daemon.stagesOf(run);
        waitFor("its process", [&] { return !processesOf(ids[0]).empty(); });
        assertDone(patch(ids[0], "FAILURE"));
        CPPUNIT_ASSERT(processesOf(ids[0]).empty());
        CPPUNIT_ASSERT_EQUAL(std::string("FAILURE"), _daemon.statusOf(run));
        CPPUNIT_ASSERT_EQUAL(std::string("IDLE"), _daemon.detail(ids[1], "status"));
        CPPUNIT_ASSERT(_daemon.detail(ids[0], "endedAt") != "null");
        CPPUNIT_ASSERT(_daemon.detail(ids[0], "duration") != "null");
    }

    /// The intent is on record before the first signal: who kills the daemon then changes nothing.
    void testTheDecisionIsCarriedThroughARestart()
    {
        for (const std::string status : {"SUCCESS", "FAILURE"})
        {
            const auto run = _daemon.submit(listOf(
                {shell("trap '' TERM; echo up; while :; do sleep 0.1; done", R"("grace":"3s")"),
                 shell("echo next")}));
            const auto ids = _daemon.stagesOf(run);
            waitFor("the stage to ignore TERM", [&] { return _daemon.log(ids[0]) == "up\n"; });
            const auto version = _daemon.detail(ids[0], "version");
            auto patched = std::async(std::launch::async,
                                      [&]
                                      {
                                          try
                                          {
                                              patch(ids[0], status, "decided before the crash");
                                          }
                                          catch (const std::exception&)
                                          {
                                              // the daemon dies under it
                                          }
                                      });
            waitFor("the intent", [&] { return _daemon.detail(ids[0], "version") != version; });
            _daemon.kill();
            patched.get();
            _daemon.start();
            _daemon.waitForRun(run, status);
            CPPUNIT_ASSERT_EQUAL(std::string("OPERATOR"), _daemon.detail(ids[0], "cause"));
            CPPUNIT_ASSERT_EQUAL(std::string("decided before the crash"),
                                 _daemon.detail(ids[0], "message"));
            CPPUNIT_ASSERT_EQUAL(std::string(status == "SUCCESS" ? "SUCCESS" : "IDLE"),
                                 _daemon.detail(ids[1], "status"));
            CPPUNIT_ASSERT(processesOf(ids[0]).empty());
        }
    }

    void testExternalStageEndsAsItIsToldTo()
    {
        for (const std::string status : {"SUCCESS", "FAILURE"})
        {
            const auto run = _daemon.submit(listOf({external, shell("true")}));
            const auto id = _daemon.stagesOf(run)[0];
            _daemon.waitForRun(run, "IN_PROGRESS");
            assertDone(patch(id, "IN_PROGRESS"));
            assertDone(patch(id, status));
            CPPUNIT_ASSERT_EQUAL(std::string("EXTERNAL"), _daemon.detail(id, "cause"));
            _daemon.waitForRun(run, status);
        }
    }

    void testAwaitingStageIsSkippedAndTheNextGoesOn()
    {
        const auto run = _daemon.submit(
            listOf({shell("echo no", R"("approval":"required")"), shell("echo on")}));
        const auto ids = _daemon.stagesOf(run);
        _daemon.waitForRun(run, "AWAITING_APPROVAL");
        assertDone(patch(ids[0], "SUCCESS"));
        _daemon.waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("SKIPPED"), _daemon.detail(ids[0], "cause"));
        CPPUNIT_ASSERT_EQUAL(std::string("0"), _daemon.detail(ids[0], "duration"));
        CPPUNIT_ASSERT_EQUAL(std::string(), _daemon.log(ids[0]));
        CPPUNIT_ASSERT_EQUAL(std::string("on\n"), _daemon.log(ids[1]));
    }

    void testTriedAgainClearsAllAfterItAndKeepsTheOldLog()
    {
        const auto run = _daemon.submit(
            listOf({shell("echo $STAGE_ATTEMPT; test -e seen || { touch seen; exit 1; }"),
                    shell("echo 2")}));
        const auto ids = _daemon.stagesOf(run);
        _daemon.waitForRun(run, "FAILURE");
        assertDone(patch(ids[1], "SUCCESS")); // so that one behind it has ended as well
        CPPUNIT_ASSERT_EQUAL(std::string("SKIPPED"), _daemon.detail(ids[1], "cause"));

        const auto busy = running();
        assertDone(patch(ids[0], "IDLE"));
        for (const auto& id : ids)
        {
            CPPUNIT_ASSERT_EQUAL(std::string("IDLE"), _daemon.detail(id, "status"));
            for (const char* field : {"startedAt", "endedAt", "duration", "cause", "exitCode"})
                CPPUNIT_ASSERT_EQUAL_MESSAGE(field, std::string("null"), _daemon.detail(id, field));
        }
        CPPUNIT_ASSERT_EQUAL(std::string("IDLE"), _daemon.statusOf(run));
        assertDone(patch(busy, "FAILURE"));
        _daemon.waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("2\n"), _daemon.log(ids[0]));
        CPPUNIT_ASSERT_EQUAL(std::string("1\n"),
                             _daemon.get("/api/stages/" + ids[0] + "/log?attempt=1").body);
        CPPUNIT_ASSERT_EQUAL(std::string("2\n"), _daemon.log(ids[1]));
    }

    void testTriedAgainIsFirstInTheQueue()
    {
        const auto failed = _daemon.submit(listOf({shell("exit 1")}));
        _daemon.waitForRun(failed, "FAILURE");
        const auto busy = running();
        const auto order = _daemon.folder() / "order";
        const auto older = _daemon.submit(listOf({shell("echo older >> " + order.string())}));
        const auto id = _daemon.stagesOf(failed)[0];
        assertDone(patch(id, "IDLE"));
        assertDone(patch(busy, "FAILURE"));
        _daemon.waitForRun(older, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("FAILURE"), _daemon.statusOf(failed));
        CPPUNIT_ASSERT_EQUAL(std::string("2"), _daemon.detail(id, "attempt"));
        CPPUNIT_ASSERT(_daemon.detail(id, "endedAt") <=
                       _daemon.detail(_daemon.stagesOf(older)[0], "startedAt"));
    }

    void testToTheStatusItHasNothingChanges()
    {
        for (const auto& [id, status] : oneOfEach())
        {
            const auto before = _daemon.get("/api/stages/" + id);
            assertDone(patch(id, status));
            CPPUNIT_ASSERT_EQUAL(before.body, _daemon.get("/api/stages/" + id).body);
            const Answer stale =
                _daemon.request("PATCH", "/api/stages/" + id, R"({"status":")" + status + "\"}",
                                {{"If-Match", "\"9999\""}});
            CPPUNIT_ASSERT_EQUAL_MESSAGE(stale.body, 412, stale.status);
        }
    }

    void testAllElseIsRefusedWithWhatIsPossible()
    {
        const std::map<std::string, std::pair<std::vector<std::string>, std::string>> refused{
            {"IDLE", {{"AWAITING_APPROVAL", "FAILURE"}, "IN_PROGRESS, SUCCESS"}},
            {"IN_PROGRESS", {{"IDLE", "AWAITING_APPROVAL"}, "SUCCESS, FAILURE"}},
            {"AWAITING_APPROVAL", {{"IDLE"}, "IN_PROGRESS, SUCCESS, FAILURE"}},
            {"SUCCESS", {{"IDLE", "IN_PROGRESS", "AWAITING_APPROVAL", "FAILURE"}, "none"}},
            {"FAILURE", {{"IN_PROGRESS", "AWAITING_APPROVAL"}, "IDLE, SUCCESS"}}};
        for (const auto& [id, status] : oneOfEach())
        {
            const auto& [targets, possible] = refused.at(status);
            const auto before = _daemon.get("/api/stages/" + id).body;
            for (const auto& target : targets)
            {
                const Answer answer = patch(id, target);
                assertRefused("transition_not_possible", answer);
                CPPUNIT_ASSERT_MESSAGE(answer.body, answer.body.find("possible: " + possible +
                                                                     "\"") != std::string::npos);
            }
            CPPUNIT_ASSERT_EQUAL(before, _daemon.get("/api/stages/" + id).body);
        }
    }

private:
    /// A stage that holds the only slot.
    std::string running()
    {
        auto id = _daemon.stagesOf(_daemon.submit(listOf({shell("sleep 900")})))[0];
        _daemon.waitForStage(id, "IN_PROGRESS");
        waitFor("its process", [&] { return !processesOf(id).empty(); });
        waitFor("the shim's own time of its start",
                [&] { return _daemon.detail(id, "containment") != "null"; });
        return id;
    }

    /// A run that was stopped while it waited for a slot.
    std::string stopped(std::initializer_list<std::string> stages)
    {
        auto run = _daemon.submit(listOf(stages));
        CPPUNIT_ASSERT_EQUAL(200, _daemon.post("/api/runs/" + run + "/stop", "").status);
        CPPUNIT_ASSERT_EQUAL(std::string("FAILURE"), _daemon.statusOf(run));
        return run;
    }

    /// A stage in each status, and that.
    std::vector<std::pair<std::string, std::string>> oneOfEach()
    {
        const auto good = _daemon.submit(listOf({shell("true")}));
        _daemon.waitForRun(good, "SUCCESS");
        const auto bad = _daemon.submit(listOf({shell("false")}));
        _daemon.waitForRun(bad, "FAILURE");
        const auto waiting = _daemon.submit(listOf({shell("true", R"("approval":"required")")}));
        _daemon.waitForRun(waiting, "AWAITING_APPROVAL");
        const auto going = running();
        const auto queued = _daemon.submit(listOf({shell("true")}));
        return {{_daemon.stagesOf(good)[0], "SUCCESS"},
                {_daemon.stagesOf(bad)[0], "FAILURE"},
                {_daemon.stagesOf(waiting)[0], "AWAITING_APPROVAL"},
                {going, "IN_PROGRESS"},
                {_daemon.stagesOf(queued)[0], "IDLE"}};
    }

    Answer patch(const std::string& id, const std::string& status,
                 const std::string& reason = "by hand") const
    {
        return _daemon.patch("/api/stages/" + id,
                             R"({"status":")" + status + R"(","reason":")" + reason + "\"}");
    }

    static void assertDone(const Answer& answer)
    {
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 200, answer.status);
        CPPUNIT_ASSERT_EQUAL(std::string("{}"), answer.body);
    }

    static void assertRefused(const std::string& code, const Answer& answer)
    {
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 409, answer.status);
        CPPUNIT_ASSERT_EQUAL(code, std::string(answer.json()["error"]["code"].GetString()));
    }

    Daemon _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(PatchTableTest);
