// A stage of the agent's own user turns on its shim: it stops it, kills it, hides from it. Symptom: a stage whose shim was
// stopped never ended; a process with a session and an environment of its own outlived the kill of its shim. Cause: only the
// shim kept deadlines, and what it left was known by session and environment alone. Bound: the true end within the stage's
// own deadlines and a few seconds, and no process left.
#include "tests/support/HostileStage.h"

#include <cppunit/extensions/HelperMacros.h>

#include <csignal>

using agent::test::listOf;
using agent::test::processesOf;
using agent::test::processesWith;
using agent::test::shell;
using agent::test::shimOf;
using agent::test::waitFor;

class HostileShimTest: public agent::test::HostileStage
{
    CPPUNIT_TEST_SUITE(HostileShimTest);
    CPPUNIT_TEST(testAStoppedShimIsContinuedAndNoted);
    CPPUNIT_TEST(testAShimStoppedWithoutPauseHidesNoTimeout);
    CPPUNIT_TEST(testAStoppedShimThatWasAdoptedKeepsItsTimeout);
    CPPUNIT_TEST(testAShimStoppedWhileTheDaemonIsDown);
    CPPUNIT_TEST(testAStoppedSpareShimStartsTheNextStage);
    CPPUNIT_TEST(testWhatHidFromAKilledShimIsEnded);
    CPPUNIT_TEST(testATreeThatHidFromAKilledShimIsEnded);
    CPPUNIT_TEST(testAnotherStageOutlivesThat);
    CPPUNIT_TEST_SUITE_END();

public:
    void testAStoppedShimIsContinuedAndNoted()
    {
        const auto id = submit(shell("kill -STOP $(ps -o ppid= -p $$); exit 3"));
        assertEnd(id, "EXIT");
        CPPUNIT_ASSERT_EQUAL(std::string("3"), _daemon->detail(id, "exitCode"));
        assertStopNoted(id);
    }

    void testAShimStoppedWithoutPauseHidesNoTimeout()
    {
        const auto id = submit(
            shell("shim=$(ps -o ppid= -p $$); trap '' TERM; while kill -STOP $shim; do :; done",
                  R"("timeout":"1s","grace":"1s")"));
        assertEnd(id, "TIMEOUT");
        assertStopNoted(id);
    }

    /// Its stop is not told to a daemon that is not its parent.
    void testAStoppedShimThatWasAdoptedKeepsItsTimeout()
    {
        const auto id = submit(shell("sleep 600", R"("timeout":"2s","grace":"1s")"));
        waitFor("the command to run", [&] { return !processesOf(id).empty(); });
        _daemon->kill();
        _daemon->start();
        ::kill(shimOf(attempt()), SIGSTOP);
        assertEnd(id, "TIMEOUT");
    }

    void testAShimStoppedWhileTheDaemonIsDown()
    {
        const auto id = submit(shell("until test -e go; do sleep 0.05; done; exit 4"));
        waitFor("the command to run", [&] { return !processesOf(id).empty(); });
        _daemon->kill();
        ::kill(shimOf(attempt()), SIGSTOP);
        letGo();
        _daemon->start();
        assertEnd(id, "EXIT");
        CPPUNIT_ASSERT_EQUAL(std::string("4"), _daemon->detail(id, "exitCode"));
    }

    void testAStoppedSpareShimStartsTheNextStage()
    {
        // The first run's stage waits until the spare for the next is there.
        const auto id = submit(
            shell("until spare=$(pgrep -P $(ps -o ppid= -p $(ps -o ppid= -p $$)) -f -- --wait); "
                  "do sleep 0.05; done; kill -STOP $spare"));
        _daemon->waitForRun(_run, "SUCCESS");
        _daemon->waitForRun(_daemon->submit(listOf({shell("true")})), "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("SUCCESS"), _daemon->detail(id, "status"));
    }

    void testWhatHidFromAKilledShimIsEnded()
    {
        const auto id =
            submit(shell("(setsid env -i /bin/sleep 98761 &); until pgrep -f '^/bin/sleep "
                         "98761$'; do sleep 0.05; done; kill -9 $(ps -o ppid= -p $$)"));
        assertEnd(id, "SHIM_LOST");
        CPPUNIT_ASSERT(processesWith("/bin/sleep98761").empty());
    }

    void testATreeThatHidFromAKilledShimIsEnded()
    {
        const auto id = submit(shell("cat > tree <<'X'\ncd /; setsid env -i /bin/sleep 98762 & "
                                     "setsid env -i sh -c 'trap \"\" "
                                     "TERM HUP; setsid /bin/sleep 98762 & wait; wait' & "
                                     "wait\nX\n(setsid env -i sh ./tree &); "
                                     "until test $(pgrep -fc '^/bin/sleep 98762$') = 2; do sleep "
                                     "0.05; done; kill -9 $(ps -o "
                                     "ppid= -p $$)"));
        assertEnd(id, "SHIM_LOST");
        CPPUNIT_ASSERT(processesWith("/bin/sleep98762").empty());
    }

    /// What is a shim's child is not the daemon's, and a shim is no orphan.
    void testAnotherStageOutlivesThat()
    {
        const auto other = submit(shell("until test -e go; do sleep 0.05; done; exit 5"));
        const auto otherRun = _run;
        waitFor("the command to run", [&] { return !processesOf(other).empty(); });
        assertEnd(submit(shell("(setsid env -i /bin/sleep 98763 &); kill -9 $(ps -o ppid= -p $$)")),
                  "SHIM_LOST");
        _run = otherRun;
        letGo();
        assertEnd(other, "EXIT");
        CPPUNIT_ASSERT_EQUAL(std::string("5"), _daemon->detail(other, "exitCode"));
    }

private:
    void assertEnd(const std::string& id, const std::string& cause) const
    {
        waitFor("its end", [&] { return _daemon->detail(id, "status") == "FAILURE"; });
        CPPUNIT_ASSERT_EQUAL_MESSAGE(_daemon->detail(id, "message"), cause,
                                     _daemon->detail(id, "cause"));
        CPPUNIT_ASSERT(processesOf(id).empty());
    }

    void assertStopNoted(const std::string& id) const
    {
        const auto body = _daemon->get("/api/stages/" + id).body;
        CPPUNIT_ASSERT_MESSAGE(body, body.find("SHIM_STOPPED") != std::string::npos);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(HostileShimTest);
