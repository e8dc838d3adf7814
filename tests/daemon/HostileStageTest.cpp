// A stage of the agent's own user means harm to its own record: it forges its outcome, takes its folder away, empties its
// claim. Symptom: exit 7 became SUCCESS, or the stage never ended. Cause: files that a stage can write were believed,
// and the shim knew no other way to tell the end. Bound: a true end within 10 s, never a forged SUCCESS.
#include "tests/support/HostileStage.h"
#include "tests/support/OtherBoot.h"

#include <cppunit/extensions/HelperMacros.h>

#include <csignal>

using agent::test::contentOf;
using agent::test::processesOf;
using agent::test::shell;
using agent::test::shimOf;
using agent::test::waitFor;

namespace fs = std::filesystem;

class HostileStageTest: public agent::test::HostileStage
{
    CPPUNIT_TEST_SUITE(HostileStageTest);
    CPPUNIT_TEST(testAnOutcomeLeftUnderTheTemporaryName);
    CPPUNIT_TEST(testAnOutcomeOfItsOwnAndTheShimKilled);
    CPPUNIT_TEST(testTheOutcomeOfAnEarlierAttempt);
    CPPUNIT_TEST(testAFolderMovedAway);
    CPPUNIT_TEST(testAFolderReplacedByOneWithAnOutcome);
    CPPUNIT_TEST(testAFolderRemoved);
    CPPUNIT_TEST(testAnOutcomeForgedWhileTheDaemonIsDown);
    CPPUNIT_TEST(testTheShimsOutcomeIsBelievedAfterARestart);
    CPPUNIT_TEST(testAClaimOfAnotherProcessIsNotSignalled);
    CPPUNIT_TEST(testAnOrderWithAnothersCgroupIsNotFollowed);
    CPPUNIT_TEST(testAnEmptiedFolderIsNoSecondExecution);
    CPPUNIT_TEST(testAFolderMovedAwayIsNoSecondExecution);
    CPPUNIT_TEST(testAnEmptiedClaimHidesNoShim);
    CPPUNIT_TEST(testTheKeyIsNowhereInReachOfItsFiles);
    CPPUNIT_TEST_SUITE_END();

public:
    void testAnOutcomeLeftUnderTheTemporaryName()
    {
        const auto id = end("rm -f $d/outcome.json.tmp; put $d/outcome.json.tmp; exit 7");
        assertEnd(id, "EXIT", "7");
        // Also one that is put back as often as the shim removes it.
        const auto other = end("(while put $d/outcome.json.tmp.mine && mv $d/outcome.json.tmp.mine "
                               "$d/outcome.json.tmp; do :; done) & put $d/outcome.json; exit 8");
        assertEnd(other, "EXIT", "8");
    }

    void testAnOutcomeOfItsOwnAndTheShimKilled()
    {
        const auto id = end("put $d/outcome.json; kill -9 $(ps -o ppid= -p $$); sleep 60");
        assertRefused(id);
    }

    /// It was true once, of the stage's first attempt.
    void testTheOutcomeOfAnEarlierAttempt()
    {
        const auto id =
            end("test $STAGE_ATTEMPT = 1 && exit 3; cp $d/../1/outcome.json $d/; sed -i "
                "s/:3,/:0,/ $d/outcome.json; kill -9 $(ps -o ppid= -p $$); sleep 60",
                R"("retry":{"attempts":2,"on":[3]})");
        CPPUNIT_ASSERT_EQUAL(std::string("2"), _daemon->detail(id, "attempt"));
        assertRefused(id);
        const auto whole = end("test $STAGE_ATTEMPT = 1 && exit 3; cp $d/../1/outcome.json $d/; "
                               "kill -9 $(ps -o ppid= -p $$); sleep 60",
                               R"("retry":{"attempts":2,"on":[3]})");
        assertRefused(whole);
    }

    void testAFolderMovedAway()
    {
        assertEnd(end("mv $d $d.away; exit 5"), "EXIT", "5");
        assertEnd(end("mv $d/.. $d/../../away; exit 5"), "EXIT", "5");
    }

    void testAFolderReplacedByOneWithAnOutcome()
    {
        assertEnd(end("mv $d $d.away; mkdir $d; put $d/outcome.json; exit 6"), "EXIT", "6");
    }

    void testAFolderRemoved() { assertEnd(end("rm -rf $d; exit 4"), "EXIT", "4"); }

    void testAnOutcomeForgedWhileTheDaemonIsDown()
    {
        const auto id = begin("until test -e go; do sleep 0.05; done; put $d/outcome.json; kill -9 "
                              "$(ps -o ppid= -p $$); sleep 60");
        const int shim = shimOf(attempt());
        _daemon->kill();
        letGo();
        waitFor("the shim to be killed", [&] { return ::kill(shim, 0) != 0; });
        _daemon->start();
        _daemon->waitForRun(_run, "FAILURE");
        assertRefused(id);
    }

    void testTheShimsOutcomeIsBelievedAfterARestart()
    {
        const auto id = begin("until test -e go; do sleep 0.05; done; exit 9");
        _daemon->kill();
        letGo();
        waitFor("the outcome", [&] { return fs::exists(attempt() / "outcome.json"); });
        _daemon->start();
        _daemon->waitForRun(_run, "FAILURE");
        assertEnd(id, "EXIT", "9");
    }

    /// The claim of the stage's attempt names another run's shim: it is no way to have that ended.
    void testAClaimOfAnotherProcessIsNotSignalled() { assertAnotherGoesOn("shim.lock", false); }

    /// The order of the stage's attempt names another run's cgroup and ids.
    void testAnOrderWithAnothersCgroupIsNotFollowed() { assertAnotherGoesOn("order.json", true); }

    void testAnEmptiedFolderIsNoSecondExecution()
    {
        const auto id =
            begin("echo x >> executions; sleep 1.5; touch ready; until test -e go; do sleep "
                  "0.05; done; : > $d/shim.lock; rm $d/log*; touch done; kill -9 $(ps -o "
                  "ppid= -p $$)");
        waitFor("its shim to be on record", [&] { return fs::exists(workspace() / "ready"); });
        _daemon->kill();
        letGo();
        waitFor("the deed", [&] { return fs::exists(workspace() / "done"); });
        _daemon->start();
        assertRunOnce(id, "SHIM_LOST");
    }

    void testAFolderMovedAwayIsNoSecondExecution()
    {
        const auto id =
            begin("echo x >> executions; mv $d $d.away; sleep 1.5; touch done; until test -e "
                  "go; do sleep 0.05; done; exit 3");
        waitFor("the deed", [&] { return fs::exists(workspace() / "done"); });
        _daemon->kill();
        _daemon->start();
        CPPUNIT_ASSERT_EQUAL(std::string("IN_PROGRESS"), _daemon->detail(id, "status"));
        letGo();
        assertRunOnce(id, "SHIM_LOST"); // nobody was left who could be told
    }

    void testAnEmptiedClaimHidesNoShim()
    {
        const auto id =
            begin("echo x >> executions; : > $d/shim.lock; rm $d/log*; sleep 1.5; touch done; "
                  "until test -e go; do sleep 0.05; done; exit 3");
        waitFor("the deed", [&] { return fs::exists(workspace() / "done"); });
        _daemon->kill();
        _daemon->start();
        CPPUNIT_ASSERT_EQUAL(std::string("IN_PROGRESS"), _daemon->detail(id, "status"));
        letGo();
        assertRunOnce(id, "EXIT");
    }

    void testTheKeyIsNowhereInReachOfItsFiles()
    {
        begin("env > environment; ls -l /proc/self/fd > descriptors; touch done; sleep 600");
        waitFor("the deed", [&] { return fs::exists(workspace() / "done"); });
        _daemon->kill();
        const std::string key = agent::test::sealKeyIn(_daemon->state());
        CPPUNIT_ASSERT_EQUAL(std::size_t{64}, key.size());
        for (const auto& entry : fs::recursive_directory_iterator(attempt().parent_path()))
            if (entry.is_regular_file())
                CPPUNIT_ASSERT(contentOf(entry.path()).find(key) == std::string::npos);
        CPPUNIT_ASSERT(contentOf(workspace() / "environment").find(key) == std::string::npos);
        const auto descriptors = contentOf(workspace() / "descriptors");
        CPPUNIT_ASSERT_MESSAGE(descriptors, descriptors.find("memfd") == std::string::npos &&
                                                descriptors.find("socket") == std::string::npos);
        _daemon->start();
        CPPUNIT_ASSERT_EQUAL(200, _daemon->post("/api/runs/" + _run + "/stop").status);
        _daemon->kill();
        CPPUNIT_ASSERT_EQUAL(std::string(), agent::test::sealKeyIn(_daemon->state()));
    }

private:
    /// Submits a stage that does `harm`, in hostileWords.
    std::string begin(const std::string& harm, const std::string& more = "")
    {
        auto id = submit(shell("set +e; " + agent::test::hostileWords + harm, more));
        waitFor("the command to run",
                [&]
                {
                    return _daemon->detail(id, "status") != "IDLE" &&
                           (!processesOf(id).empty() ||
                            _daemon->detail(id, "status") != "IN_PROGRESS");
                });
        return id;
    }

    /// The same, and waits for its end.
    std::string end(const std::string& harm, const std::string& more = "")
    {
        auto id = begin(harm, more);
        waitFor(
            "the end after: " + harm, [this] { return over(); }, 10);
        return id;
    }

    /// A stage puts another's `file` in place of its own, and a new daemon finds it so, its shim alive or killed: the other
    /// stage goes on.
    void assertAnotherGoesOn(const std::string& file, bool killShim)
    {
        const auto other = begin("until test -e go; do sleep 0.05; done; exit 2");
        const auto otherRun = _run;
        const auto original = attempt() / file;
        begin("cat " + original.string() + " > $d/" + file + "; touch done; sleep 600");
        waitFor("the deed", [&] { return fs::exists(workspace() / "done"); });
        const auto run = _run;
        const int shim = killShim ? shimOf(attempt()) : 0;
        _daemon->kill();
        if (killShim)
            ::kill(shim, SIGKILL);
        _daemon->start();
        _daemon->waitForRun(run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("IN_PROGRESS"), _daemon->detail(other, "status"));
        _run = otherRun;
        letGo();
        _daemon->waitForRun(otherRun, "FAILURE");
        assertEnd(other, "EXIT", "2");
    }

    void assertEnd(const std::string& id, const std::string& cause, const std::string& code) const
    {
        CPPUNIT_ASSERT_EQUAL_MESSAGE(_daemon->detail(id, "message"), cause,
                                     _daemon->detail(id, "cause"));
        CPPUNIT_ASSERT_EQUAL(code, _daemon->detail(id, "exitCode"));
        CPPUNIT_ASSERT_EQUAL(std::string("FAILURE"), _daemon->detail(id, "status"));
    }

    void assertRunOnce(const std::string& id, const std::string& cause) const
    {
        _daemon->waitForRun(_run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(cause, _daemon->detail(id, "cause"));
        CPPUNIT_ASSERT_EQUAL(std::string("x\n"), contentOf(workspace() / "executions"));
        CPPUNIT_ASSERT(processesOf(id).empty());
    }

    void assertRefused(const std::string& id) const
    {
        assertEnd(id, "SHIM_LOST", "null");
        const auto body = _daemon->get("/api/stages/" + id).body;
        CPPUNIT_ASSERT_MESSAGE(body, body.find("OUTCOME_REFUSED") != std::string::npos);
        CPPUNIT_ASSERT(processesOf(id).empty());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(HostileStageTest);
