// A stage with a process that the kernel does not let go, and someone who wants its end: no end is reported before it is
// gone, its slot is nobody else's, and people hear why. Source: docs/operating.md, "A process that can't be ended".
#include "tests/support/DeafStage.h"

#include <cppunit/extensions/HelperMacros.h>

using agent::test::attemptOf;
using agent::test::DeafStage;
using agent::test::listOf;
using agent::test::processesOf;
using agent::test::shell;
using agent::test::shimOf;
using agent::test::waitFor;

class UndyingTest: public DeafStage
{
    CPPUNIT_TEST_SUITE(UndyingTest);
    CPPUNIT_TEST(testAPatchHearsThatAProcessIsLeft);
    CPPUNIT_TEST(testTheSlotIsSetAsideAndComesBack);
    CPPUNIT_TEST(testOtherSlotsGoOn);
    CPPUNIT_TEST(testAStoppedRunHearsIt);
    CPPUNIT_TEST(testTheDecisionOutlivesTheDaemon);
    CPPUNIT_TEST(testWhatALostShimLeftIsWaitedForToo);
    CPPUNIT_TEST_SUITE_END();

public:
    void testAPatchHearsThatAProcessIsLeft()
    {
        if (!begin())
            return;
        const int pid = asker();
        const auto answer = patch("FAILURE", "the server is gone");
        assertRemains(answer);
        CPPUNIT_ASSERT_MESSAGE(answer.body,
                               answer.body.find(std::to_string(pid) + " (stat) is in state D") !=
                                   std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::string("IN_PROGRESS"), _daemon->detail(_id, "status"));
        CPPUNIT_ASSERT_EQUAL(std::string("null"), _daemon->detail(_id, "endedAt"));
        CPPUNIT_ASSERT(_daemon->detail(_id, "stuckWhy").find("1 process can't be ended") !=
                       std::string::npos);
        CPPUNIT_ASSERT(_daemon->get("/api/stuck").body.find(_id) != std::string::npos);
        CPPUNIT_ASSERT(
            _daemon->get("/api/stages/" + _id + "/history").body.find("stuck: asked to end by") !=
            std::string::npos);
        // It is no secret to the next one, who need not wait.
        assertRemains(patch("SUCCESS", "it had done its work"));
        CPPUNIT_ASSERT_EQUAL(409, _daemon->request("DELETE", "/api/stages/" + _id).status);

        _files->release();
        _daemon->waitForRun(_run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("OPERATOR"), _daemon->detail(_id, "cause"));
        CPPUNIT_ASSERT_EQUAL(std::string("null"), _daemon->detail(_id, "stuckSince"));
        CPPUNIT_ASSERT(
            _daemon->get("/api/stages/" + _id + "/history").body.find("the server is gone") !=
            std::string::npos);
        CPPUNIT_ASSERT(processesOf(_id).empty());
    }

    void testTheSlotIsSetAsideAndComesBack()
    {
        if (!begin())
            return;
        CPPUNIT_ASSERT_EQUAL(0, setAside());
        assertRemains(patch("SUCCESS", "enough of it"));
        CPPUNIT_ASSERT_EQUAL(1, setAside());
        CPPUNIT_ASSERT(_daemon->get("/metrics").body.find("stage_agent_slots_set_aside 1\n") !=
                       std::string::npos);
        const auto ready = _daemon->get("/readyz");
        CPPUNIT_ASSERT_EQUAL(503, ready.status);
        CPPUNIT_ASSERT_MESSAGE(
            ready.body,
            ready.body.find("executor: no slot can be used, 1 of 1 set aside, 0 queued") !=
                std::string::npos);
        const auto other = _daemon->submit(listOf({shell("true")}));
        // Long enough for a slot to be given away: another run would have taken its first step by then.
        CPPUNIT_ASSERT_EQUAL(200, _daemon->post("/api/agent/resume").status);
        CPPUNIT_ASSERT_EQUAL(std::string("IDLE"),
                             _daemon->detail(_daemon->stagesOf(other)[0], "status"));
        CPPUNIT_ASSERT_EQUAL(std::string("IDLE"),
                             _daemon->detail(_daemon->stagesOf(_run)[1], "status"));

        _files->release();
        _daemon->waitForRun(_run, "SUCCESS");
        _daemon->waitForRun(other, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(0, setAside());
        CPPUNIT_ASSERT_EQUAL(200, _daemon->get("/readyz").status);
    }

    void testOtherSlotsGoOn()
    {
        if (!begin())
            return;
        assertRemains(patch("SUCCESS", "enough of it"));
        _daemon->kill();
        _daemon->set("executor.slots", "2");
        _daemon->start();
        waitFor("the new daemon to find it out", [&] { return setAside() == 1; });
        const auto ready = _daemon->get("/readyz");
        CPPUNIT_ASSERT_EQUAL(200, ready.status);
        CPPUNIT_ASSERT(ready.body.find("executor: ok, 1 of 2 slots in use, 1 set aside") !=
                       std::string::npos);
        _daemon->waitForRun(_daemon->submit(listOf({shell("true")})), "SUCCESS");
        _files->release();
        _daemon->waitForRun(_run, "SUCCESS");
    }

    void testAStoppedRunHearsIt()
    {
        if (!begin())
            return;
        assertRemains(_daemon->post("/api/runs/" + _run + "/stop"));
        assertRemains(_daemon->post("/api/runs/" + _run + "/stop"));
        CPPUNIT_ASSERT_EQUAL(std::string("IN_PROGRESS"), _daemon->detail(_id, "status"));
        _files->release();
        _daemon->waitForRun(_run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("STOPPED"), _daemon->detail(_id, "cause"));
        CPPUNIT_ASSERT_EQUAL(std::string("IDLE"),
                             _daemon->detail(_daemon->stagesOf(_run)[1], "status"));
    }

    void testTheDecisionOutlivesTheDaemon()
    {
        if (!begin())
            return;
        assertRemains(patch("FAILURE", "the server is gone"));
        _daemon->kill();
        _daemon->start();
        CPPUNIT_ASSERT_EQUAL(std::string("IN_PROGRESS"), _daemon->detail(_id, "status"));
        waitFor("the new daemon to find it out", [&] { return setAside() == 1; });
        assertRemains(patch("SUCCESS", ""));
        _files->release();
        _daemon->waitForRun(_run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("OPERATOR"), _daemon->detail(_id, "cause"));
    }

    void testWhatALostShimLeftIsWaitedForToo()
    {
        if (!begin())
            return;
        ::kill(shimOf(attemptOf(*_daemon, _run)), SIGKILL);
        waitFor("the daemon to give it up", [&] { return setAside() == 1; });
        CPPUNIT_ASSERT_EQUAL(std::string("IN_PROGRESS"), _daemon->detail(_id, "status"));
        CPPUNIT_ASSERT(_daemon->detail(_id, "stuckWhy").find("in state D") != std::string::npos);
        assertRemains(patch("FAILURE", "the server is gone"));
        _files->release();
        _daemon->waitForRun(_run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("OPERATOR"), _daemon->detail(_id, "cause"));
        CPPUNIT_ASSERT(processesOf(_id).empty());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(UndyingTest);
