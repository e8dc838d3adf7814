// What has been wrong once. Each test opens with symptom, cause and bound.
#include "tests/support/Daemon.h"

#include <cppunit/extensions/HelperMacros.h>

#include <csignal>

using agent::test::Answer;
using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::waitFor;

class RegressionTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(RegressionTest);
    CPPUNIT_TEST(testControlCharactersInEnvAreRefused);
    CPPUNIT_TEST(testRunThatCannotBeReadAgainEndsAlone);
    CPPUNIT_TEST(testRunStoppedDuringItsRetryDelayStaysStopped);
    CPPUNIT_TEST(testRunThatOnlyWaitsGivesItsSlotToTheNext);
    CPPUNIT_TEST(testStageThatSpoilsItsFolderHarmsOnlyItself);
    CPPUNIT_TEST(testRemovedClaimIsNoSecondExecution);
    CPPUNIT_TEST(testReplayIsAnsweredWithoutItsService);
    CPPUNIT_TEST(testAcceptedFailureNeedsItsWorkspace);
    CPPUNIT_TEST(testEmptyRunPatchChangesNothing);
    CPPUNIT_TEST(testOnLossAloneMeansOneMoreAttempt);
    CPPUNIT_TEST_SUITE_END();

public:
    /// Every batch failed for ever, also after a restart: the stored pipeline could not be read again.
    void testControlCharactersInEnvAreRefused()
    {
        start();
        const Answer answer = _daemon.post(
            "/api/runs", R"({"env":{"A":"\u001b[0m"},"pipeline":{"stages":)" + one("true") + "}}");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 400, answer.status);
        CPPUNIT_ASSERT(answer.body.find("env.A") != std::string::npos);
        _daemon.waitForRun(_daemon.submit(one("true")), "SUCCESS");
    }

    /// As above, for a record that holds such a run already: only that run ends.
    void testRunThatCannotBeReadAgainEndsAlone()
    {
        start();
        const auto blocker = _daemon.submit(one("sleep 0.5"));
        const auto broken = _daemon.submit(one("true"));
        _daemon.waitForRun(blocker, "SUCCESS");
        _daemon.waitForRun(broken, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(0, _daemon.stop());
        const std::string edit =
            "sqlite3 " + (_daemon.state() / "record.db").string() +
            " \"UPDATE runs SET pipeline = 'no pipeline', status = 'IDLE', ended_at = NULL, "
            "wants_slot = 1 WHERE id = '" +
            broken + "'; UPDATE stages SET status = 'IDLE' WHERE run_id = '" + broken +
            "'\" 2>/dev/null";
        if (std::system(edit.c_str()) != 0) // NOLINT: our own words
            return;                         // no sqlite3 program here
        _daemon.start();
        _daemon.waitForRun(broken, "FAILURE");
        _daemon.waitForRun(_daemon.submit(one("true")), "SUCCESS");
    }

    /// A stopped run came back to life when its retry's timer ran out, which did not look at the run.
    void testRunStoppedDuringItsRetryDelayStaysStopped()
    {
        start();
        const auto run = _daemon.submit(
            R"([{"type":"BUILD","plugin":"shell","retry":{"attempts":2,"delay":"1s"},"with":{"command":"exit 1"}}])");
        const auto id = _daemon.stagesOf(run)[0];
        waitFor("the first attempt's end",
                [&] {
                    return _daemon.detail(id, "attempt") == "1" &&
                           _daemon.detail(id, "status") == "IDLE";
                });
        CPPUNIT_ASSERT_EQUAL(200, _daemon.post("/api/runs/" + run + "/stop").status);
        CPPUNIT_ASSERT_EQUAL(std::string("FAILURE"), _daemon.statusOf(run));
        _daemon.waitForRun(_daemon.submit(one("sleep 1.5")), "SUCCESS"); // longer than the delay
        CPPUNIT_ASSERT_EQUAL(std::string("FAILURE"), _daemon.statusOf(run));
        CPPUNIT_ASSERT_EQUAL(std::string("1"), _daemon.detail(id, "attempt"));
    }

    /// A queued run stayed IDLE with slots free: the queue was looked at once a batch only.
    void testRunThatOnlyWaitsGivesItsSlotToTheNext()
    {
        start();
        const auto first = _daemon.submit(one("sleep 0.5"));
        const auto waits = _daemon.submit(R"([{"type":"OTHER","plugin":"external"}])");
        const auto last = _daemon.submit(one("true"));
        _daemon.waitForRun(first, "SUCCESS");
        _daemon.waitForRun(last, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("IN_PROGRESS"), _daemon.statusOf(waits));
    }

    /// The daemon ended (terminate), or did not start again: what an attempt's folder held was trusted.
    void testStageThatSpoilsItsFolderHarmsOnlyItself()
    {
        start();
        const auto order = _daemon.submit(
            one("d=$(dirname $STAGE_OUTPUTS); rm $d/order.json; mkdir $d/order.json"));
        waitFor("its end",
                [&] {
                    return _daemon.statusOf(order) != "IDLE" &&
                           _daemon.statusOf(order) != "IN_PROGRESS";
                });
        const auto outcome =
            _daemon.submit(one("mkdir $(dirname $STAGE_OUTPUTS)/outcome.json; exit 4"));
        _daemon.waitForRun(outcome, "FAILURE");
        const auto lock = _daemon.submit(one("d=$(dirname $STAGE_OUTPUTS); rm $d/shim.lock; mkdir "
                                             "$d/shim.lock; touch done; sleep 931"));
        waitFor("the deed", [&] { return std::filesystem::exists(workspace(lock) / "done"); });
        _daemon.kill();
        _daemon.start();
        _daemon.waitForRun(lock, "FAILURE");
        _daemon.waitForRun(_daemon.submit(one("true")), "SUCCESS");
    }

    /// A stage that removed its own claim was executed twice after a restart.
    void testRemovedClaimIsNoSecondExecution()
    {
        start();
        const auto run = _daemon.submit(
            one("rm $(dirname $STAGE_OUTPUTS)/shim.lock; echo x >> executions; sleep 932"));
        waitFor("its execution", [&] { return !contentOf(workspace(run) / "executions").empty(); });
        _daemon.kill();
        _daemon.start();
        _daemon.waitForRun(run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("x\n"), contentOf(workspace(run) / "executions"));
        CPPUNIT_ASSERT_EQUAL(std::string("SHIM_LOST"),
                             _daemon.detail(_daemon.stagesOf(run)[0], "cause"));
    }

    /// The promised 200 of a repeated request was a 404 once its service was removed.
    void testReplayIsAnsweredWithoutItsService()
    {
        _daemon.writeService("short", "name: short\nstages: [{ type: OTHER, plugin: external }]\n");
        start();
        const auto submit = [&]
        {
            return _daemon.request("POST", "/api/runs", R"({"service":"short"})",
                                   {{"Idempotency-Key", "again"}});
        };
        CPPUNIT_ASSERT_EQUAL(201, submit().status);
        std::filesystem::remove(_daemon.folder() / "services.d/short.yaml");
        _daemon.signal(SIGHUP);
        waitFor("the reload", [&] { return _daemon.get("/api/services").json().Size() == 0; });
        CPPUNIT_ASSERT_EQUAL(200, submit().status);
    }

    /// FAILURE → SUCCESS went on in an empty workspace where FAILURE → IDLE was refused.
    void testAcceptedFailureNeedsItsWorkspace()
    {
        start();
        const auto run =
            _daemon.submit(R"([{"type":"BUILD","plugin":"shell","with":{"command":"false"}},)"
                           R"({"type":"OTHER","plugin":"shell","with":{"command":"true"}}])");
        _daemon.waitForRun(run, "FAILURE");
        std::filesystem::remove_all(workspace(run));
        const auto id = _daemon.stagesOf(run)[0];
        for (const char* status : {"IDLE", "SUCCESS"})
            CPPUNIT_ASSERT_EQUAL(
                409,
                _daemon.patch("/api/stages/" + id, std::string(R"({"status":")") + status + "\"}")
                    .status);
    }

    void testEmptyRunPatchChangesNothing()
    {
        start();
        const auto run = _daemon.submit(one("true"));
        _daemon.waitForRun(run, "SUCCESS");
        const std::string before = _daemon.get("/api/runs/" + run).body;
        CPPUNIT_ASSERT_EQUAL(200, _daemon.patch("/api/runs/" + run, "{}").status);
        CPPUNIT_ASSERT_EQUAL(before, _daemon.get("/api/runs/" + run).body);
        CPPUNIT_ASSERT_EQUAL(200,
                             _daemon.patch("/api/runs/" + run, R"({"committer":"Ada"})").status);
        CPPUNIT_ASSERT(before != _daemon.get("/api/runs/" + run).body);
    }

    /// `retry: {on_loss: true}` did nothing, for `attempts` was 1.
    void testOnLossAloneMeansOneMoreAttempt()
    {
        start();
        const auto run =
            _daemon.submit(R"([{"type":"BUILD","plugin":"shell","retry":{"on_loss":true},)"
                           R"("with":{"command":"test $STAGE_ATTEMPT = 2 || sleep 933"}}])");
        const auto claim =
            _daemon.state() / "runs" / run.substr(0, 2) / run / "0-BUILD/1/shim.lock";
        rapidjson::Document document;
        waitFor("the claim",
                [&]
                {
                    document.Parse(contentOf(claim));
                    return !document.HasParseError() && document.HasMember("pid");
                });
        ::kill(document["pid"].GetInt(), SIGKILL);
        _daemon.waitForRun(run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("2"), _daemon.detail(_daemon.stagesOf(run)[0], "attempt"));
    }

private:
    void start()
    {
        _daemon.set("executor.slots", "1");
        _daemon.start();
    }

    static std::string one(const std::string& command)
    {
        return R"([{"type":"BUILD","plugin":"shell","with":{"command":")" + command + "\"}}]";
    }

    [[nodiscard]] std::filesystem::path workspace(const std::string& run) const
    {
        return _daemon.state() / "runs" / run.substr(0, 2) / run / "workspace";
    }

    Daemon _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(RegressionTest);
