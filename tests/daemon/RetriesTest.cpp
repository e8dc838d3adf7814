// Which ends are tried again, and what is kept of the attempts before.
#include "tests/support/OtherBoot.h"
#include "tests/support/Stages.h"

#include <cppunit/extensions/HelperMacros.h>

using agent::test::attemptOf;
using agent::test::contentOf;
using agent::test::cutPower;
using agent::test::Daemon;
using agent::test::listOf;
using agent::test::moveToAnotherBoot;
using agent::test::processesOf;
using agent::test::shell;
using agent::test::shimOf;
using agent::test::waitFor;

class RetriesTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(RetriesTest);
    CPPUNIT_TEST(testEachAttemptKeepsItsLogTimesAndCause);
    CPPUNIT_TEST(testEndsWithTheLastAttempt);
    CPPUNIT_TEST(testOnlyNamedExitCodesAreTriedAgain);
    CPPUNIT_TEST(testNamedCausesAreTriedAgain);
    CPPUNIT_TEST(testDelayGoesOnOverARestart);
    CPPUNIT_TEST(testALossIsTriedAgainOnlyWhereAskedFor);
    CPPUNIT_TEST(testAPowerCutIsALossThatIsNotRetriedInItsWorkspace);
    CPPUNIT_TEST(testAnOrderlyShutdownIsAReboot);
    CPPUNIT_TEST(testAShimThatSomebodyEndsIsALoss);
    CPPUNIT_TEST(testAStopDuringTheDelayIsAnEnd);
    CPPUNIT_TEST(testADelayHoldsNoSlot);
    CPPUNIT_TEST(testADecisionIsNeverTriedAgain);
    CPPUNIT_TEST(testAnAttemptByHandKeepsTheOneBefore);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { _daemon.start(); }

    void testEachAttemptKeepsItsLogTimesAndCause()
    {
        const auto id = submit(flaky("exit 7"), R"({"attempts":3,"on":[7]})");
        _daemon.waitForRun(_run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("2"), _daemon.detail(id, "attempt"));
        CPPUNIT_ASSERT_EQUAL(std::string("again\n"), _daemon.log(id));

        const auto first = _daemon.get("/api/stages/" + id + "?attempt=1").json();
        CPPUNIT_ASSERT_EQUAL(std::string("FAILURE"), std::string(first["status"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("EXIT"), std::string(first["cause"].GetString()));
        CPPUNIT_ASSERT_EQUAL(7, first["exitCode"].GetInt());
        CPPUNIT_ASSERT_EQUAL(1, first["attempt"].GetInt());
        CPPUNIT_ASSERT(first["usage"]["cpuMs"].IsInt64());
        const auto second = _daemon.get("/api/stages/" + id + "?attempt=2").json();
        CPPUNIT_ASSERT_EQUAL(std::string("SUCCESS"), std::string(second["status"].GetString()));
        CPPUNIT_ASSERT(std::string(first["endedAt"].GetString()) <=
                       std::string(second["startedAt"].GetString()));
        const std::string log = "/api/stages/" + id + "/log?attempt=";
        CPPUNIT_ASSERT_EQUAL(std::string("first\n"), _daemon.get(log + "1").body);
        CPPUNIT_ASSERT_EQUAL(std::string("again\n"), _daemon.get(log + "2").body);
        CPPUNIT_ASSERT_EQUAL(400, _daemon.get("/api/stages/" + id + "?attempt=3").status);
        CPPUNIT_ASSERT_EQUAL(400, _daemon.get("/api/stages/" + id + "?attempt=x").status);

        std::string history;
        const auto entries = _daemon.get("/api/stages/" + id + "/history").json();
        for (const auto& entry : entries.GetArray())
        {
            if (entry["to"] == "FAILURE")
                CPPUNIT_ASSERT(std::string(entry["at"].GetString()) >=
                               first["endedAt"].GetString());
            history +=
                std::to_string(entry["attempt"].GetInt()) + " " + entry["to"].GetString() +
                (entry["cause"].IsNull() ? "" : std::string(" ") + entry["cause"].GetString()) +
                "; ";
        }
        CPPUNIT_ASSERT_MESSAGE(history,
                               history.find("1 IN_PROGRESS; 1 FAILURE EXIT; 1 IDLE; 2 "
                                            "IN_PROGRESS; 2 SUCCESS EXIT; ") != std::string::npos);
    }

    void testEndsWithTheLastAttempt()
    {
        const auto id = submit("exit 4", R"({"attempts":3})");
        _daemon.waitForRun(_run, "FAILURE");
        for (const std::string attempt : {"1", "2", "3"})
        {
            const auto ended = _daemon.get("/api/stages/" + id + "?attempt=" + attempt).json();
            CPPUNIT_ASSERT_EQUAL(4, ended["exitCode"].GetInt());
        }
        CPPUNIT_ASSERT_EQUAL(std::string("3"), _daemon.detail(id, "attempt"));
    }

    void testOnlyNamedExitCodesAreTriedAgain()
    {
        assertOneAttempt("EXIT", submit("exit 8", R"({"attempts":3,"on":[7,9]})"));
        assertOneAttempt("EXIT", submit("exit 8", R"({"attempts":3,"on":["TIMEOUT"]})"));
        assertOneAttempt("TIMEOUT",
                         submit("sleep 600", R"({"attempts":3,"on":[7]},"timeout":"1s")"));
    }

    void testNamedCausesAreTriedAgain()
    {
        for (const std::string end : {"TIMEOUT", "SILENT", "SIGNAL", "PLUGIN_ERROR"})
        {
            const std::string does = end == "SIGNAL"         ? "kill -9 $$"
                                     : end == "PLUGIN_ERROR" ? "echo x > $STAGE_OUTPUTS; exit 0"
                                                             : "sleep 600";
            // Long enough for a busy host to come to its second execution.
            const std::string limit = end == "TIMEOUT"  ? R"(,"timeout":"4s")"
                                      : end == "SILENT" ? R"(,"silence":"4s")"
                                                        : "";
            const auto id =
                submit(flaky(does), R"({"attempts":2,"on":[")" + end + R"("]})" + limit);
            _daemon.waitForRun(_run, "SUCCESS");
            const auto first = _daemon.get("/api/stages/" + id + "?attempt=1").json();
            CPPUNIT_ASSERT_EQUAL(end, std::string(first["cause"].GetString()));
        }
    }

    void testDelayGoesOnOverARestart()
    {
        const auto id = submit(flaky("exit 1"), R"({"attempts":2,"delay":"3s"})");
        waitFor("the delay",
                [&] {
                    return _daemon.detail(id, "status") == "IDLE" &&
                           _daemon.detail(id, "attempt") == "1";
                });
        CPPUNIT_ASSERT_EQUAL(std::string("IN_PROGRESS"), _daemon.statusOf(_run));
        const auto first = _daemon.get("/api/stages/" + id + "?attempt=1").json();
        CPPUNIT_ASSERT_EQUAL(1, first["exitCode"].GetInt());
        _daemon.kill();
        _daemon.start();
        _daemon.waitForRun(_run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("2"), _daemon.detail(id, "attempt"));
        const auto at = [&](const char* attempt, const char* time)
        {
            const auto view = _daemon.get("/api/stages/" + id + "?attempt=" + attempt).json();
            const std::string text = view[time].GetString(); // …T17:17:13.760Z
            return std::stod(text.substr(17, 6)) + 60 * std::stod(text.substr(14, 2));
        };
        const double waited = at("2", "startedAt") - at("1", "endedAt");
        CPPUNIT_ASSERT(waited < 0 || waited >= 3); // below 0: the hour changed
    }

    void testALossIsTriedAgainOnlyWhereAskedFor()
    {
        const auto kept = submitRunning("sleep 600", R"({"attempts":3})");
        ::kill(shimOf(attemptOf(_daemon, _run)), SIGKILL);
        assertOneAttempt("SHIM_LOST", kept);

        const auto id = submitRunning(flaky("sleep 600"), R"({"attempts":2,"on_loss":true})");
        ::kill(shimOf(attemptOf(_daemon, _run)), SIGKILL);
        _daemon.waitForRun(_run, "SUCCESS");
        const auto first = _daemon.get("/api/stages/" + id + "?attempt=1").json();
        CPPUNIT_ASSERT_EQUAL(std::string("SHIM_LOST"), std::string(first["cause"].GetString()));
        CPPUNIT_ASSERT_EQUAL(std::string("2"), _daemon.detail(id, "attempt"));
    }

    /// Files of its workspace may be lost: nothing is executed there again, by itself or by hand.
    void testAPowerCutIsALossThatIsNotRetriedInItsWorkspace()
    {
        const auto id = submitRunning(flaky("sleep 600"), R"({"attempts":2,"on_loss":true})");
        const auto attempt = attemptOf(_daemon, _run);
        _daemon.kill();
        cutPower(attempt, id);
        moveToAnotherBoot(_daemon.state());
        _daemon.start();
        _daemon.waitForRun(_run, "FAILURE");
        assertOneAttempt("HOST_REBOOT", id);
        CPPUNIT_ASSERT(_daemon.detail(id, "message").find("rerun the run") != std::string::npos);
        const auto answer = _daemon.request("PATCH", "/api/stages/" + id, R"({"status":"IDLE"})");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 409, answer.status);
        CPPUNIT_ASSERT(answer.body.find("workspace_unsynced") != std::string::npos);
    }

    /// Its shim is asked to end with all others and tells so before the power goes.
    void testAnOrderlyShutdownIsAReboot()
    {
        const auto id = submitRunning(flaky("sleep 600"), R"({"attempts":2,"on_loss":true})");
        const auto attempt = attemptOf(_daemon, _run);
        CPPUNIT_ASSERT_EQUAL(0, _daemon.stop());
        ::kill(shimOf(attempt), SIGTERM);
        waitFor("its outcome", [&] { return std::filesystem::exists(attempt / "outcome.json"); });
        moveToAnotherBoot(_daemon.state());
        _daemon.start();
        _daemon.waitForRun(_run, "SUCCESS");
        const auto first = _daemon.get("/api/stages/" + id + "?attempt=1").json();
        CPPUNIT_ASSERT_EQUAL(std::string("HOST_REBOOT"), std::string(first["cause"].GetString()));
        CPPUNIT_ASSERT(first["durationMs"].GetInt64() < 600'000);
    }

    void testAShimThatSomebodyEndsIsALoss()
    {
        const auto kept = submitRunning("sleep 600", R"({"attempts":3})");
        ::kill(shimOf(attemptOf(_daemon, _run)), SIGTERM);
        assertOneAttempt("SHIM_LOST", kept);
        CPPUNIT_ASSERT(_daemon.detail(kept, "message").find("by another process than the agent") !=
                       std::string::npos);
        CPPUNIT_ASSERT(_daemon.output().find("stage " + kept + " (BUILD of run ") !=
                       std::string::npos);

        const auto id = submitRunning(flaky("sleep 600"), R"({"attempts":2,"on_loss":true})");
        ::kill(shimOf(attemptOf(_daemon, _run)), SIGTERM);
        _daemon.waitForRun(_run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("2"), _daemon.detail(id, "attempt"));
    }

    /// Symptom: after a stop during the delay the stage was IDLE for ever, without a cause. Bound: what the
    /// attempt itself said stays.
    void testAStopDuringTheDelayIsAnEnd()
    {
        const auto id = submit("exit 3", R"({"attempts":3,"delay":"600s"})");
        waitFor("the delay", [&]
                { return _daemon.detail(id, "message").find("attempt 2 of 3 begins at") == 0; });
        CPPUNIT_ASSERT_EQUAL(std::string("IDLE"), _daemon.detail(id, "status"));
        const auto stopped = _daemon.post("/api/runs/" + _run + "/stop");
        CPPUNIT_ASSERT_EQUAL(1, stopped.json()["executionsStopped"].GetInt());
        _daemon.waitForRun(_run, "FAILURE");
        for (const auto& [field, wanted] : std::vector<std::pair<std::string, std::string>>{
                 {"status", "FAILURE"},
                 {"cause", "STOPPED"},
                 {"exitCode", "3"},
                 {"attempt", "1"},
                 {"message", "stopped before attempt 2; attempt 1: exited with code 3"}})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(field, wanted, _daemon.detail(id, field));
        // It can be tried again as any other that failed.
        CPPUNIT_ASSERT_EQUAL(200,
                             _daemon.patch("/api/stages/" + id, R"({"status":"IDLE"})").status);
        waitFor("the next attempt", [&] { return _daemon.detail(id, "attempt") == "2"; });
        CPPUNIT_ASSERT_EQUAL(200, _daemon.post("/api/runs/" + _run + "/stop").status);
    }

    /// Symptom: with all slots taken by runs that only waited for their next attempt, no other run began.
    void testADelayHoldsNoSlot()
    {
        _daemon.stop();
        _daemon.set("executor.slots", "1");
        _daemon.start();
        const auto id = submit("exit 3", R"({"attempts":2,"delay":"600s"})");
        waitFor("the delay",
                [&] {
                    return !_daemon.detail(id, "message").empty() &&
                           _daemon.detail(id, "status") == "IDLE";
                });
        const auto other = _daemon.submit(listOf({shell("true")}));
        _daemon.waitForRun(other, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("IN_PROGRESS"), _daemon.statusOf(_run));
        CPPUNIT_ASSERT_EQUAL(200, _daemon.post("/api/runs/" + _run + "/stop").status);
    }

    void testADecisionIsNeverTriedAgain()
    {
        const std::string always = R"({"attempts":3,"on_loss":true})";
        const auto stopped = submitRunning("sleep 600", always);
        CPPUNIT_ASSERT_EQUAL(200, _daemon.post("/api/runs/" + _run + "/stop").status);
        assertOneAttempt("STOPPED", stopped);

        const auto ended = submitRunning("sleep 600", always);
        patchToFailure(ended);
        assertOneAttempt("OPERATOR", ended);

        const auto gated = submit("true", always + R"(,"approval":"required")");
        _daemon.waitForStage(gated, "AWAITING_APPROVAL");
        patchToFailure(gated);
        _daemon.waitForRun(_run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("REJECTED"), _daemon.detail(gated, "cause"));
        CPPUNIT_ASSERT_EQUAL(std::string("0"), _daemon.detail(gated, "attempt"));
    }

    void testAnAttemptByHandKeepsTheOneBefore()
    {
        const auto id = submit(flaky("exit 6"), R"({"attempts":1})");
        _daemon.waitForRun(_run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(200,
                             _daemon.patch("/api/stages/" + id, R"({"status":"IDLE"})").status);
        _daemon.waitForRun(_run, "SUCCESS");
        const auto first = _daemon.get("/api/stages/" + id + "?attempt=1").json();
        CPPUNIT_ASSERT_EQUAL(6, first["exitCode"].GetInt());
        CPPUNIT_ASSERT_EQUAL(std::string("FAILURE"), std::string(first["status"].GetString()));
    }

private:
    /// Does `bad` at its first execution and ends well at the next one.
    static std::string flaky(const std::string& bad)
    {
        return "if test -e tried; then echo again; exit 0; fi\ntouch tried\necho first\n" + bad;
    }

    /// `retry`: its value, and what is to follow it in the stage.
    std::string submit(const std::string& command, const std::string& retry)
    {
        _run = _daemon.submit(listOf({shell(command, R"("retry":)" + retry)}));
        return _daemon.stagesOf(_run)[0];
    }

    std::string submitRunning(const std::string& command, const std::string& retry)
    {
        auto id = submit(command + "\n", retry);
        waitFor("the command to sleep",
                [&]
                {
                    for (const int pid : processesOf(id))
                        if (contentOf("/proc/" + std::to_string(pid) + "/comm") == "sleep\n")
                            return true;
                    return false;
                });
        return id;
    }

    void patchToFailure(const std::string& id) const
    {
        const auto answer = _daemon.patch("/api/stages/" + id, R"({"status":"FAILURE"})");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 200, answer.status);
    }

    void assertOneAttempt(const std::string& cause, const std::string& id) const
    {
        _daemon.waitForRun(_run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(cause, _daemon.detail(id, "cause"));
        CPPUNIT_ASSERT_EQUAL(std::string("1"), _daemon.detail(id, "attempt"));
    }

    Daemon _daemon;
    std::string _run;
};

CPPUNIT_TEST_SUITE_REGISTRATION(RetriesTest);
