// A stage with a process that the kernel does not let go: no end is told before it is gone, its slot is nobody
// else's, and people hear why. Source: docs/operating.md, "A process that can't be ended".
#include "tests/support/DeafFiles.h"
#include "tests/support/Namespace.h"
#include "tests/support/Stages.h"

#include <cppunit/extensions/HelperMacros.h>

#include <iostream>
#include <optional>
#include <sstream>

using agent::test::attemptOf;
using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::DeafFiles;
using agent::test::listOf;
using agent::test::MountNamespace;
using agent::test::processesOf;
using agent::test::shell;
using agent::test::shimOf;
using agent::test::waitFor;

class UndyingTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(UndyingTest);
    CPPUNIT_TEST(testAPatchHearsThatAProcessIsLeft);
    CPPUNIT_TEST(testTheSlotIsSetAsideAndComesBack);
    CPPUNIT_TEST(testAStoppedRunHearsIt);
    CPPUNIT_TEST(testTheDecisionOutlivesTheDaemon);
    CPPUNIT_TEST(testATimeoutIsRecordedOnlyAtItsEnd);
    CPPUNIT_TEST(testWhatALostShimLeftIsWaitedForToo);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override
    {
        _mounts.emplace();
        _daemon.emplace();
        _daemon->set("stage.grace", "200ms");
        _daemon->set("executor.slots", "1");
        _files.emplace(_daemon->state().parent_path() / "deaf");
        if (_files->mounted())
            _daemon->start();
    }

    void tearDown() override
    {
        _files->release();
        _files.reset(); // before the daemon, which waits for all processes
        _daemon.reset();
        _mounts.reset();
    }

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
        CPPUNIT_ASSERT(_daemon->get("/readyz").body.find("1 of 1 slots in use, 1 set aside") !=
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

    void testATimeoutIsRecordedOnlyAtItsEnd()
    {
        if (!begin(R"("timeout":"1s")"))
            return;
        const int pid = asker();
        waitFor("the shim to kill it", [&] { return killed(pid); });
        CPPUNIT_ASSERT_EQUAL(std::string("IN_PROGRESS"), _daemon->detail(_id, "status"));
        _files->release();
        _daemon->waitForRun(_run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("TIMEOUT"), _daemon->detail(_id, "cause"));
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

private:
    /// A stage that asks for a file; false, and it says so, where that can't be played.
    bool begin(const std::string& more = "")
    {
        if (!_mounts->own() || !_files->mounted())
        {
            std::cout << " (skipped: no file system of our own can be mounted by FUSE) "
                      << std::flush;
            return false;
        }
        _run = _daemon->submit(
            listOf({shell("stat " + (_daemon->state().parent_path() / "deaf/file").string(), more),
                    R"({"type":"OTHER","plugin":"shell","with":{"command":"true"}})"}));
        _id = _daemon->stagesOf(_run)[0];
        waitFor("the stage to ask for its file", [&] { return _files->waiting() > 0; });
        return true;
    }

    [[nodiscard]] int asker() const
    {
        for (const int pid : processesOf(_id))
            if (contentOf("/proc/" + std::to_string(pid) + "/comm") == "stat\n")
                return pid;
        CPPUNIT_FAIL("nobody asks");
        return 0;
    }

    /// Whether a SIGKILL waits for it.
    static bool killed(int pid)
    {
        std::istringstream lines(contentOf("/proc/" + std::to_string(pid) + "/status"));
        for (std::string line; std::getline(lines, line);)
            if (line.starts_with("ShdPnd:") || line.starts_with("SigPnd:"))
                if ((std::stoull(line.substr(7), nullptr, 16) & (1ULL << (SIGKILL - 1))) != 0)
                    return true;
        return false;
    }

    agent::test::Answer patch(const std::string& status, const std::string& reason)
    {
        return _daemon->patch("/api/stages/" + _id,
                              R"({"status":")" + status + R"(","reason":")" + reason + "\"}");
    }

    static void assertRemains(const agent::test::Answer& answer)
    {
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 409, answer.status);
        CPPUNIT_ASSERT_MESSAGE(answer.body,
                               answer.body.find("\"processes_remain\"") != std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(answer.body, answer.body.find("is in state D") != std::string::npos);
    }

    [[nodiscard]] int setAside() const
    {
        return _daemon->get("/api/agent").json()["setAside"].GetInt();
    }

    std::optional<MountNamespace> _mounts;
    std::optional<Daemon> _daemon;
    std::optional<DeafFiles> _files;
    std::string _run;
    std::string _id;
};

CPPUNIT_TEST_SUITE_REGISTRATION(UndyingTest);
