// The stages API as the product's owner fixed it: shapes, PATCH row by row, DELETE.
#include "tests/support/Daemon.h"

#include <cppunit/extensions/HelperMacros.h>

#include <regex>

using agent::test::Answer;
using agent::test::Daemon;
using agent::test::waitFor;

class StagesApiTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(StagesApiTest);
    CPPUNIT_TEST(testNineKeysInOrderWhileTheRunGoesAndAfter);
    CPPUNIT_TEST(testUnknownRunIsEmptyAndBadIdsAreRefused);
    CPPUNIT_TEST(testFailedStageEndsTheRunAndLeavesTheLaterOnesIdle);
    CPPUNIT_TEST(testPatchEndsARunningStageAndAllItsProcesses);
    CPPUNIT_TEST(testPatchToSuccessLetsTheRunGoOn);
    CPPUNIT_TEST(testExternalStageIsDrivenByPatches);
    CPPUNIT_TEST(testApprovalRefusalAndSkip);
    CPPUNIT_TEST(testSkippedIdleStageHasNoDuration);
    CPPUNIT_TEST(testFailedStageIsTriedAgainInTheSameWorkspace);
    CPPUNIT_TEST(testFailureIsAcceptedAndTheRunGoesOn);
    CPPUNIT_TEST(testImpossiblePatchSaysWhatIsPossible);
    CPPUNIT_TEST(testTimesAreCorrectedAllOrNothing);
    CPPUNIT_TEST(testBadPatchesNameTheirField);
    CPPUNIT_TEST(testIfMatchGuardsAgainstAChangeMeanwhile);
    CPPUNIT_TEST(testIfMatchIsReadAsTheStandardSays);
    CPPUNIT_TEST(testDelete);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { _daemon.start(); }

    void testNineKeysInOrderWhileTheRunGoesAndAfter()
    {
        const auto run =
            _daemon.submit(stages({shell("BUILD", "sleep 0.3"), shell("OTHER", "true")}));
        const std::regex idle(
            R"x(\[\{"id":"[0-9a-f-]{36}","createdAt":"[^"]{24}","updatedAt":"[^"]{24}","type":"BUILD",)x"
            R"x("startedAt":(null|"[^"]{24}"),"endedAt":null,"duration":null,)x"
            R"x("status":"(IDLE|IN_PROGRESS)","runId":"[0-9a-f-]{36}"\},.*)x");
        const std::string before = _daemon.get("/api/stages?runId=" + run).body;
        CPPUNIT_ASSERT_MESSAGE(before, std::regex_match(before, idle));
        _daemon.waitForRun(run, "SUCCESS");
        const std::string time = R"("\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")";
        const std::regex ended(
            R"(\[\{"id":"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f-]{16}",)"
            R"("createdAt":)" +
            time + R"(,"updatedAt":)" + time + R"(,"type":"BUILD","startedAt":)" + time +
            R"(,"endedAt":)" + time + R"(,"duration":1,"status":"SUCCESS","runId":")" + run +
            R"("\},.*)");
        const Answer after = _daemon.get("/api/stages?runId=" + run);
        CPPUNIT_ASSERT_MESSAGE(after.body, std::regex_match(after.body, ended));
        CPPUNIT_ASSERT_EQUAL(std::string("application/json"), after.headers.at("content-type"));
    }

    void testUnknownRunIsEmptyAndBadIdsAreRefused()
    {
        const Answer unknown =
            _daemon.get("/api/stages?runId=11111111-1111-4111-8111-111111111111");
        CPPUNIT_ASSERT_EQUAL(200, unknown.status);
        CPPUNIT_ASSERT_EQUAL(std::string("[]"), unknown.body);
        assertError(400, "runId", _daemon.get("/api/stages"));
        assertError(400, "runId", _daemon.get("/api/stages?runId=nonsense"));
        assertError(400, "id", _daemon.get("/api/stages/nonsense"));
        const std::string missing = "/api/stages/11111111-1111-4111-8111-111111111111";
        assertError(404, "", _daemon.get(missing));
        assertError(404, "", _daemon.patch(missing, "{}"));
        assertError(404, "", _daemon.request("DELETE", missing));
        const Answer method = _daemon.post("/api/stages", "{}");
        assertError(405, "", method);
        CPPUNIT_ASSERT_EQUAL(std::string("GET"), method.headers.at("allow"));
    }

    void testFailedStageEndsTheRunAndLeavesTheLaterOnesIdle()
    {
        const auto run = _daemon.submit(stages({shell("BUILD", "exit 7"), shell("OTHER", "true")}));
        _daemon.waitForRun(run, "FAILURE");
        const auto ids = _daemon.stagesOf(run);
        CPPUNIT_ASSERT_EQUAL(std::string("EXIT"), _daemon.detail(ids[0], "cause"));
        CPPUNIT_ASSERT_EQUAL(std::string("7"), _daemon.detail(ids[0], "exitCode"));
        CPPUNIT_ASSERT_EQUAL(std::string("IDLE"), _daemon.detail(ids[1], "status"));
    }

    void testPatchEndsARunningStageAndAllItsProcesses()
    {
        const std::string id = runningStage("trap '' TERM; setsid sleep 987 & sleep 988");
        const Answer answer =
            _daemon.patch("/api/stages/" + id, R"({"status":"FAILURE","reason":"hangs"})");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 200, answer.status);
        CPPUNIT_ASSERT_EQUAL(std::string("{}"), answer.body);
        CPPUNIT_ASSERT_EQUAL(std::string("FAILURE"), _daemon.detail(id, "status"));
        CPPUNIT_ASSERT_EQUAL(std::string("OPERATOR"), _daemon.detail(id, "cause"));
        CPPUNIT_ASSERT_EQUAL(0, processesOf(id));
        CPPUNIT_ASSERT(_daemon.get("/api/stages/" + id + "/history").body.find("hangs") !=
                       std::string::npos);
    }

    void testPatchToSuccessLetsTheRunGoOn()
    {
        const auto run =
            _daemon.submit(stages({shell("BUILD", "sleep 900"), shell("OTHER", "echo next")}));
        const auto ids = _daemon.stagesOf(run);
        _daemon.waitForStage(ids[0], "IN_PROGRESS");
        CPPUNIT_ASSERT_EQUAL(200, patch(ids[0], R"({"status":"SUCCESS"})").status);
        _daemon.waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("next\n"), _daemon.log(ids[1]));
    }

    void testExternalStageIsDrivenByPatches()
    {
        const auto run = _daemon.submit(R"([{"type":"DEPLOY_STAGING","plugin":"external"}])");
        const auto id = _daemon.stagesOf(run)[0];
        waitFor("the run to wait", [&] { return _daemon.statusOf(run) == "IN_PROGRESS"; });
        CPPUNIT_ASSERT_EQUAL(std::string("IDLE"), _daemon.detail(id, "status"));
        CPPUNIT_ASSERT_EQUAL(200, patch(id, R"({"status":"IN_PROGRESS"})").status);
        CPPUNIT_ASSERT_EQUAL(std::string("IN_PROGRESS"), _daemon.detail(id, "status"));
        CPPUNIT_ASSERT_EQUAL(200, patch(id, R"({"status":"SUCCESS"})").status);
        CPPUNIT_ASSERT_EQUAL(std::string("EXTERNAL"), _daemon.detail(id, "cause"));
        CPPUNIT_ASSERT_EQUAL(std::string("SUCCESS"), _daemon.statusOf(run));
    }

    void testApprovalRefusalAndSkip()
    {
        const std::string gated =
            R"([{"type":"DEPLOY_PROD","plugin":"shell","with":{"command":"echo live"},"approval":"required"}])";
        for (const std::string status : {"IN_PROGRESS", "FAILURE", "SUCCESS"})
        {
            const auto run = _daemon.submit(gated);
            const auto id = _daemon.stagesOf(run)[0];
            _daemon.waitForRun(run, "AWAITING_APPROVAL");
            CPPUNIT_ASSERT_EQUAL(std::string("AWAITING_APPROVAL"), _daemon.detail(id, "status"));
            CPPUNIT_ASSERT_EQUAL(200, patch(id, R"({"status":")" + status + "\"}").status);
            _daemon.waitForRun(run, status == "FAILURE" ? "FAILURE" : "SUCCESS");
            CPPUNIT_ASSERT_EQUAL(std::string(status == "IN_PROGRESS" ? "EXIT"
                                             : status == "FAILURE"   ? "REJECTED"
                                                                     : "SKIPPED"),
                                 _daemon.detail(id, "cause"));
        }
        const auto run = _daemon.submit(gated);
        _daemon.waitForRun(run, "AWAITING_APPROVAL");
        CPPUNIT_ASSERT_EQUAL(200, _daemon.post("/api/runs/" + run + "/approve-deployment").status);
        _daemon.waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(409, _daemon.post("/api/runs/" + run + "/approve-deployment").status);
    }

    void testSkippedIdleStageHasNoDuration()
    {
        const auto run =
            _daemon.submit(stages({shell("BUILD", "sleep 0.5"), shell("OTHER", "false")}));
        const auto ids = _daemon.stagesOf(run);
        CPPUNIT_ASSERT_EQUAL(200, patch(ids[1], R"({"status":"SUCCESS","reason":"flaky"})").status);
        CPPUNIT_ASSERT_EQUAL(std::string("SKIPPED"), _daemon.detail(ids[1], "cause"));
        CPPUNIT_ASSERT_EQUAL(std::string("0"), _daemon.detail(ids[1], "duration"));
        _daemon.waitForRun(run, "SUCCESS");
    }

    void testFailedStageIsTriedAgainInTheSameWorkspace()
    {
        const auto run = _daemon.submit(
            stages({shell("BUILD", "test -e seen || { touch seen; exit 1; }; echo again"),
                    shell("OTHER", "true")}));
        _daemon.waitForRun(run, "FAILURE");
        const auto id = _daemon.stagesOf(run)[0];
        CPPUNIT_ASSERT_EQUAL(200, patch(id, R"({"status":"IDLE"})").status);
        _daemon.waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("2"), _daemon.detail(id, "attempt"));
        CPPUNIT_ASSERT_EQUAL(std::string("again\n"), _daemon.log(id));
        CPPUNIT_ASSERT_EQUAL(std::string(),
                             _daemon.get("/api/stages/" + id + "/log?attempt=1").body);
    }

    void testFailureIsAcceptedAndTheRunGoesOn()
    {
        const auto run = _daemon.submit(stages({shell("BUILD", "exit 3"), shell("OTHER", "true")}));
        _daemon.waitForRun(run, "FAILURE");
        const auto id = _daemon.stagesOf(run)[0];
        const std::string ended = _daemon.detail(id, "endedAt");
        CPPUNIT_ASSERT_EQUAL(200, patch(id, R"({"status":"SUCCESS"})").status);
        _daemon.waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("OPERATOR"), _daemon.detail(id, "cause"));
        CPPUNIT_ASSERT_EQUAL(std::string("3"), _daemon.detail(id, "exitCode"));
        CPPUNIT_ASSERT_EQUAL(ended, _daemon.detail(id, "endedAt"));
    }

    void testImpossiblePatchSaysWhatIsPossible()
    {
        const auto run = _daemon.submit(stages({shell("BUILD", "exit 3")}));
        _daemon.waitForRun(run, "FAILURE");
        const auto id = _daemon.stagesOf(run)[0];
        const Answer answer = patch(id, R"({"status":"IN_PROGRESS"})");
        assertError(409, "", answer);
        CPPUNIT_ASSERT(answer.body.find("possible: IDLE, SUCCESS") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(200, patch(id, R"({"status":"FAILURE"})").status);
        CPPUNIT_ASSERT_EQUAL(200, patch(id, "{}").status);
    }

    void testTimesAreCorrectedAllOrNothing()
    {
        const std::string id = endedStage();
        const std::string good =
            R"({"startedAt":"2024-01-01T00:00:00.000Z","endedAt":"2024-01-01T00:00:01.001Z","duration":2})";
        CPPUNIT_ASSERT_EQUAL(200, patch(id, good).status);
        CPPUNIT_ASSERT_EQUAL(std::string("2"), _daemon.detail(id, "duration"));
        assertError(400, "duration",
                    patch(id, R"({"endedAt":"2024-01-01T00:00:05Z","duration":4})"));
        CPPUNIT_ASSERT_EQUAL(std::string("2024-01-01T00:00:01.001Z"),
                             _daemon.detail(id, "endedAt"));
        assertError(400, "endedAt", patch(id, R"({"endedAt":"2023-01-01T00:00:05Z"})"));
    }

    void testBadPatchesNameTheirField()
    {
        const std::string id = endedStage();
        assertError(400, "runId", patch(id, R"({"runId":"x"})"));
        assertError(400, "status", patch(id, R"({"status":"DONE"})"));
        assertError(400, "status", patch(id, R"({"status":null})"));
        assertError(400, "duration", patch(id, R"({"duration":1.5})"));
        assertError(400, "duration", patch(id, R"({"duration":-1})"));
        assertError(400, "startedAt", patch(id, R"({"startedAt":"2024-01-01T00:00:00+01:00"})"));
        assertError(400, "", patch(id, "[]"));
        assertError(400, "", patch(id, "{"));
        assertError(400, "", patch(id, std::string(100000, '[')));
        assertError(
            415, "",
            _daemon.request("PATCH", "/api/stages/" + id, "{}", {{"Content-Type", "text/plain"}}));
        assertError(413, "", patch(id, "{\"reason\":\"" + std::string(2 << 20, 'x') + "\"}"));
    }

    void testIfMatchGuardsAgainstAChangeMeanwhile()
    {
        const std::string id = endedStage();
        const std::string tag = _daemon.get("/api/stages/" + id).headers.at("etag");
        const auto conditional = [&](const std::string& body) {
            return _daemon.request("PATCH", "/api/stages/" + id, body, {{"If-Match", tag}}).status;
        };
        CPPUNIT_ASSERT_EQUAL(200, conditional(R"({"endedAt":"2100-01-01T00:00:00Z"})"));
        CPPUNIT_ASSERT_EQUAL(412, conditional(R"({"endedAt":"2101-01-01T00:00:00Z"})"));
        CPPUNIT_ASSERT_EQUAL(412, conditional(R"({"status":"SUCCESS"})"));
    }

    void testIfMatchIsReadAsTheStandardSays()
    {
        const std::string id = endedStage();
        const std::string tag = _daemon.get("/api/stages/" + id).headers.at("etag");
        const std::string bare = tag.substr(1, tag.size() - 2);
        const std::vector<std::pair<std::string, int>> answers{{tag, 200},
                                                               {bare, 200},
                                                               {"*", 200},
                                                               {"\"998\", " + tag, 200},
                                                               {tag + " ,\"x,y\"", 200},
                                                               {"W/" + tag, 412},
                                                               {"\"0" + bare + "\"", 412},
                                                               {"\"abc\"", 412},
                                                               {"\"\"", 412},
                                                               {"\"*\"", 412},
                                                               {"\"99999999999999999999\"", 412},
                                                               {"abc", 400},
                                                               {"\"1", 400},
                                                               {tag + " " + tag, 400},
                                                               {tag + ", abc", 400}};
        for (const auto& [header, status] : answers)
            CPPUNIT_ASSERT_EQUAL_MESSAGE(
                header, status,
                _daemon.request("PATCH", "/api/stages/" + id, "{}", {{"If-Match", header}}).status);
        CPPUNIT_ASSERT_EQUAL(
            412,
            _daemon.request("DELETE", "/api/stages/" + id, "", {{"If-Match", "\"0\""}}).status);
        CPPUNIT_ASSERT_EQUAL(
            200, _daemon.request("DELETE", "/api/stages/" + id, "", {{"If-Match", tag}}).status);
    }

    void testDelete()
    {
        const auto run = _daemon.submit(
            stages({shell("BUILD", "sleep 900"), shell("OTHER", "false"), shell("OTHER", "true")}));
        const auto ids = _daemon.stagesOf(run);
        _daemon.waitForStage(ids[0], "IN_PROGRESS");
        assertError(409, "", _daemon.request("DELETE", "/api/stages/" + ids[0]));
        const Answer gone = _daemon.request("DELETE", "/api/stages/" + ids[1]);
        CPPUNIT_ASSERT_EQUAL(200, gone.status);
        CPPUNIT_ASSERT_EQUAL(ids[1], std::string(gone.json()["id"].GetString()));
        CPPUNIT_ASSERT_EQUAL(200, patch(ids[0], R"({"status":"SUCCESS"})").status);
        _daemon.waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, _daemon.stagesOf(run).size());
    }

private:
    static std::string shell(const std::string& type, const std::string& command)
    {
        return R"({"type":")" + type + R"(","plugin":"shell","with":{"command":")" + command +
               "\"}}";
    }

    static std::string stages(const std::vector<std::string>& all)
    {
        std::string text;
        for (const auto& one : all)
            text += (text.empty() ? "[" : ",") + one;
        return text + "]";
    }

    Answer patch(const std::string& id, const std::string& body) const
    {
        return _daemon.patch("/api/stages/" + id, body);
    }

    std::string runningStage(const std::string& command) const
    {
        auto id = _daemon.stagesOf(_daemon.submit(stages({shell("BUILD", command)})))[0];
        _daemon.waitForStage(id, "IN_PROGRESS");
        waitFor("its processes", [&] { return processesOf(id) > 1; });
        return id;
    }

    std::string endedStage() const
    {
        const auto run = _daemon.submit(stages({shell("BUILD", "true")}));
        _daemon.waitForRun(run, "SUCCESS");
        return _daemon.stagesOf(run)[0];
    }

    /// Living processes with the stage's id in their environment.
    static int processesOf(const std::string& id)
    {
        int count = 0;
        for (const auto& entry : std::filesystem::directory_iterator("/proc"))
            if (agent::test::contentOf(entry.path() / "environ").find("STAGE_ID=" + id) !=
                std::string::npos)
                ++count;
        return count;
    }

    static void assertError(int status, const std::string& field, const Answer& answer)
    {
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, status, answer.status);
        const auto document = answer.json();
        const auto& error = document["error"];
        CPPUNIT_ASSERT(error["code"].IsString() && error["message"].IsString());
        if (!field.empty())
            CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, field,
                                         std::string(error["field"].GetString()));
    }

    Daemon _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(StagesApiTest);
