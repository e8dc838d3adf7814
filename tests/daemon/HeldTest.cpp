// A stage that its own shim is to end, and can't: the daemon hears of it without anyone asking, tells it to people and
// keeps the slot, and the end is reported with its cause once it is true. Source: agent/wire/Order.h, Held.
#include "tests/support/DeafStage.h"

#include <cppunit/extensions/HelperMacros.h>

#include <fstream>

#include <sys/stat.h>

using agent::test::attemptOf;
using agent::test::DeafStage;
using agent::test::listOf;
using agent::test::processesOf;
using agent::test::shell;
using agent::test::shimOf;
using agent::test::waitFor;

namespace
{

/// Its first thread ends and its second asks for the file.
const std::string leaderless = STAGE_AGENT_BIN_DIR "/../test-programs/leaderless ";

} // namespace

class HeldTest: public DeafStage
{
    CPPUNIT_TEST_SUITE(HeldTest);
    CPPUNIT_TEST(testATimeoutThatCantBeIsReported);
    CPPUNIT_TEST(testAPipeInItsPlaceDoesNotBlock);
    CPPUNIT_TEST(testSoIsWhatACommandLeftBehind);
    CPPUNIT_TEST(testADaemonHearsWhatWasSaidWhileItWasAway);
    CPPUNIT_TEST(testWhatTheShimDecidedFirstStands);
    CPPUNIT_TEST(testAThreadThatIsHeldHoldsItsProcess);
    CPPUNIT_TEST(testAThreadThatALostShimLeftIsWaitedForToo);
    CPPUNIT_TEST(testAStageThatSaysSoItselfIsNotBelieved);
    CPPUNIT_TEST_SUITE_END();

public:
    void testATimeoutThatCantBeIsReported()
    {
        if (!begin(R"("timeout":"1s")"))
            return;
        const int pid = asker();
        waitUntilSetAside();
        assertNotEnded();
        const auto agent = _daemon->get("/api/agent").json();
        const auto& stages = agent["setAsideStages"].GetArray();
        CPPUNIT_ASSERT_EQUAL(1U, stages.Size());
        CPPUNIT_ASSERT_EQUAL(_id, std::string(stages[0]["stageId"].GetString()));
        CPPUNIT_ASSERT_EQUAL(_run, std::string(stages[0]["runId"].GetString()));
        const std::string processes = stages[0]["processes"].GetString();
        CPPUNIT_ASSERT_MESSAGE(processes,
                               processes.find("1 process can't be ended: " + std::to_string(pid) +
                                              " (stat) is in state D") == 0);
        CPPUNIT_ASSERT(_daemon->detail(_id, "startedAt") < stages[0]["since"].GetString());
        CPPUNIT_ASSERT_EQUAL("to end with TIMEOUT; " + processes, _daemon->detail(_id, "stuckWhy"));
        CPPUNIT_ASSERT_EQUAL(503, _daemon->get("/readyz").status);

        _files->release();
        _daemon->waitForRun(_run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("TIMEOUT"), _daemon->detail(_id, "cause"));
        CPPUNIT_ASSERT_EQUAL(0, setAside());
        CPPUNIT_ASSERT(_daemon->get("/api/agent").json()["setAsideStages"].GetArray().Empty());
    }

    void testAPipeInItsPlaceDoesNotBlock()
    {
        // Symptom: the shim waited for ever for a reader of what its stage had put there. Bound: the end is reported.
        if (!begin(R"("timeout":"1s")"))
            return;
        const auto pipe = attemptOf(*_daemon, _run) / "held.json.tmp";
        CPPUNIT_ASSERT_EQUAL(0, ::mkfifo(pipe.c_str(), 0600));
        waitUntilSetAside();
        _files->release();
        _daemon->waitForRun(_run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("TIMEOUT"), _daemon->detail(_id, "cause"));
    }

    void testSoIsWhatACommandLeftBehind()
    {
        const auto go = _daemon->state().parent_path() / "go";
        if (!begin("", "stat ", " & until [ -e " + go.string() + " ]; do sleep 0.05; done; exit 3"))
            return;
        std::ofstream(go) << "";
        waitUntilSetAside();
        assertNotEnded();
        CPPUNIT_ASSERT(_daemon->detail(_id, "stuckWhy").find("1 process can't be ended") == 0);
        _files->release();
        _daemon->waitForRun(_run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("3"), _daemon->detail(_id, "exitCode"));
        CPPUNIT_ASSERT(processesOf(_id).empty());
    }

    void testADaemonHearsWhatWasSaidWhileItWasAway()
    {
        if (!begin(R"("timeout":"1s")"))
            return;
        _daemon->kill();
        const auto held = attemptOf(*_daemon, _run) / "held.json";
        waitFor("the shim to say it", [&] { return std::filesystem::exists(held); });
        for (int daemons = 0; daemons < 2; ++daemons)
        {
            _daemon->start();
            waitUntilSetAside();
            assertNotEnded();
            _daemon->kill();
        }
        _daemon->start();
        waitUntilSetAside();
        // Both have found it, but it is reported once.
        const std::string history = _daemon->get("/api/stages/" + _id + "/history").body;
        const auto reported = history.find("stuck: to end with TIMEOUT");
        CPPUNIT_ASSERT(reported != std::string::npos);
        CPPUNIT_ASSERT(history.find("stuck: ", reported + 1) == std::string::npos);
        _files->release();
        _daemon->waitForRun(_run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("TIMEOUT"), _daemon->detail(_id, "cause"));
    }

    void testWhatTheShimDecidedFirstStands()
    {
        if (!begin(R"("timeout":"1s")"))
            return;
        waitUntilSetAside();
        assertRemains(patch("SUCCESS", "it had done its work"));
        assertRemains(_daemon->post("/api/runs/" + _run + "/stop"));
        assertNotEnded();
        _files->release();
        _daemon->waitForRun(_run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("TIMEOUT"), _daemon->detail(_id, "cause"));
    }

    void testAThreadThatIsHeldHoldsItsProcess()
    {
        // Symptom: a process whose first thread had ended was taken for a zombie. Bound: no end before it is gone.
        if (!begin(R"("timeout":"1s")", "exec " + leaderless))
            return;
        waitUntilSetAside();
        assertNotEnded();
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), processesOf(_id).size());
        CPPUNIT_ASSERT_MESSAGE(
            _daemon->detail(_id, "stuckWhy"),
            _daemon->detail(_id, "stuckWhy").find("(leaderless) is in state D") !=
                std::string::npos);
        assertRemains(patch("FAILURE", "it does not end"));
        _files->release();
        _daemon->waitForRun(_run, "FAILURE");
        CPPUNIT_ASSERT(processesOf(_id).empty());
    }

    void testAThreadThatALostShimLeftIsWaitedForToo()
    {
        if (!begin("", "exec " + leaderless))
            return;
        ::kill(shimOf(attemptOf(*_daemon, _run)), SIGKILL);
        waitUntilSetAside();
        assertNotEnded();
        CPPUNIT_ASSERT_EQUAL(std::size_t(1), processesOf(_id).size());
        _files->release();
        _daemon->waitForRun(_run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("SHIM_LOST"), _daemon->detail(_id, "cause"));
        CPPUNIT_ASSERT(processesOf(_id).empty());
    }

    void testAStageThatSaysSoItselfIsNotBelieved()
    {
        // It may write into its own folder, if it is in no sandbox. Bound: what /proc shows counts.
        if (!_files->mounted() || _daemon->sandboxed())
            return;
        const auto go = _daemon->state().parent_path() / "go";
        const std::string says = R"sh(cd "$(dirname "$STAGE_OUTPUTS")"
            echo '{"version":1,"since":1}' > x; mv x held.json
            mkfifo y; mv y held.json; echo said; until [ -e )sh";
        const auto run =
            _daemon->submit(listOf({shell(says + go.string() + " ]; do sleep 0.05; done")}));
        const auto id = _daemon->stagesOf(run)[0];
        waitFor("the stage to say it", [&] { return _daemon->log(id) == "said\n"; });
        // The engine hears of names before it hears of requests.
        CPPUNIT_ASSERT_EQUAL(200, _daemon->post("/api/agent/resume").status);
        CPPUNIT_ASSERT_EQUAL(0, setAside());
        CPPUNIT_ASSERT_EQUAL(std::string("null"), _daemon->detail(id, "stuckSince"));
        std::ofstream(go) << "";
        _daemon->waitForRun(run, "SUCCESS");
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(HeldTest);
