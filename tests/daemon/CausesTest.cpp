// Why a stage ended: each cause made to happen for real. DISK_FULL needs a disk of its own: FaultsTest.
#include "tests/support/OtherBoot.h"
#include "tests/support/Stages.h"

#include <cppunit/extensions/HelperMacros.h>

#include <iostream>

using agent::test::attemptOf;
using agent::test::contentOf;
using agent::test::cutPower;
using agent::test::Daemon;
using agent::test::listOf;
using agent::test::processesOf;
using agent::test::rewrite;
using agent::test::shell;
using agent::test::shimOf;
using agent::test::waitFor;

class CausesTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(CausesTest);
    CPPUNIT_TEST(testExitIsTheCommandsOwnEnd);
    CPPUNIT_TEST(testSignalIsOneThatWeDidNotSend);
    CPPUNIT_TEST(testExternalIsTheWordOfAnother);
    CPPUNIT_TEST(testTimeout);
    CPPUNIT_TEST(testSilent);
    CPPUNIT_TEST(testStopped);
    CPPUNIT_TEST(testRejected);
    CPPUNIT_TEST(testOperator);
    CPPUNIT_TEST(testSkipped);
    CPPUNIT_TEST(testOom);
    CPPUNIT_TEST(testLogLimitIsOnlyNoted);
    CPPUNIT_TEST(testPluginMissing);
    CPPUNIT_TEST(testPluginError);
    CPPUNIT_TEST(testSpawnErrorIsNoExit127);
    CPPUNIT_TEST(testShimLostEndsTheStagesProcesses);
    CPPUNIT_TEST(testHostRebootIsNeverExecutedAgain);
    CPPUNIT_TEST_SUITE_END();

public:
    void testExitIsTheCommandsOwnEnd()
    {
        _daemon.start();
        assertEnd("SUCCESS EXIT 0", shell("true"));
        assertEnd("FAILURE EXIT 3", shell("exit 3"));
    }

    void testSignalIsOneThatWeDidNotSend()
    {
        _daemon.start();
        const auto id = assertEnd("FAILURE SIGNAL null", shell("kill -SEGV $$"));
        CPPUNIT_ASSERT_EQUAL(std::to_string(SIGSEGV), _daemon.detail(id, "signal"));
        CPPUNIT_ASSERT_EQUAL(std::string("ended by SIGSEGV"), _daemon.detail(id, "message"));
    }

    void testExternalIsTheWordOfAnother()
    {
        _daemon.start();
        for (const std::string end : {"SUCCESS", "FAILURE"})
        {
            const auto id = submit(R"({"type":"BUILD","plugin":"external"})");
            waitFor("the run to reach it", [&] { return _daemon.statusOf(_run) == "IN_PROGRESS"; });
            patch(id, "IN_PROGRESS");
            patch(id, end);
            assertRecorded(end + " EXTERNAL null", id);
        }
    }

    void testTimeout()
    {
        _daemon.start();
        const auto id = assertEnd("FAILURE TIMEOUT null", shell("sleep 600", R"("timeout":"1s")"));
        CPPUNIT_ASSERT_EQUAL(std::string("ran past its timeout of 1 s"),
                             _daemon.detail(id, "message"));
        assertNoneLeft(id);
        const auto deaf = assertEnd("FAILURE TIMEOUT null", shell("trap '' TERM; sleep 600",
                                                                  R"("timeout":"1s","grace":"0")"));
        CPPUNIT_ASSERT_EQUAL(
            std::string("ran past its timeout of 1 s; killed, as it did not end within 0 s"),
            _daemon.detail(deaf, "message"));
    }

    void testSilent()
    {
        _daemon.start();
        const auto id =
            assertEnd("FAILURE SILENT null", shell("echo before; sleep 600", R"("silence":"3s")"));
        CPPUNIT_ASSERT_EQUAL(std::string("before\n"), _daemon.log(id));
        assertNoneLeft(id);
    }

    void testStopped()
    {
        _daemon.start();
        const auto id = submitRunning(shell("sleep 600"));
        CPPUNIT_ASSERT_EQUAL(200, _daemon.post("/api/runs/" + _run + "/stop").status);
        assertRecorded("FAILURE STOPPED null", id);
        assertNoneLeft(id);
    }

    void testRejected()
    {
        _daemon.start();
        const auto id = submit(shell("true", R"("approval":"required")"));
        _daemon.waitForStage(id, "AWAITING_APPROVAL");
        patch(id, "FAILURE");
        assertRecorded("FAILURE REJECTED null", id);
    }

    void testOperator()
    {
        _daemon.start();
        for (const std::string end : {"SUCCESS", "FAILURE"})
        {
            const auto id = submitRunning(shell("sleep 600"));
            patch(id, end);
            assertRecorded(end + " OPERATOR null", id);
            assertNoneLeft(id);
        }
    }

    void testSkipped()
    {
        _daemon.start();
        const auto first = submitRunning(shell("sleep 600"), shell("touch ran; exit 1"));
        const auto second = _daemon.stagesOf(_run)[1];
        patch(second, "SUCCESS");
        assertRecorded("SUCCESS SKIPPED null", second);
        patch(first, "SUCCESS");
        _daemon.waitForRun(_run, "SUCCESS");
        CPPUNIT_ASSERT_EQUAL(std::string("0"), _daemon.detail(second, "attempt"));
    }

    /// Needs a memory controller in cgroup version 2, which hosts with version 1 have not.
    void testOom()
    {
        _daemon.start();
        const auto id = submitRunning(
            shell("until test -e go; do sleep 0.05; done; exec perl -e '$x = q(x) x (256 << 20)'",
                  R"("limits":{"memory":"64MiB"})"));
        const auto workspace = attemptOf(_daemon, _run).parent_path().parent_path() / "workspace";
        const bool limited = _daemon.get("/api/stages/" + id).json()["limitsMissing"].Empty();
        std::ofstream(workspace / "go") << "";
        if (!limited)
        {
            std::cerr << " (skipped: no memory controller in cgroup version 2) ";
            waitFor("its end", [&] { return _daemon.detail(id, "status") != "IN_PROGRESS"; });
            CPPUNIT_ASSERT_EQUAL(std::string("EXIT"), _daemon.detail(id, "cause"));
            return;
        }
        _daemon.waitForRun(_run, "FAILURE");
        CPPUNIT_ASSERT_EQUAL(std::string("OOM"), _daemon.detail(id, "cause"));
        CPPUNIT_ASSERT_EQUAL(std::string("the kernel killed a process of the stage for memory; its "
                                         "limit is 67108864 bytes"),
                             _daemon.detail(id, "message"));
        assertNoneLeft(id);
    }

    void testLogLimitIsOnlyNoted()
    {
        _daemon.set("logs.max_bytes", "1MiB");
        _daemon.start();
        const auto id = assertEnd("SUCCESS EXIT 0", shell("yes | head -c 4000000"));
        CPPUNIT_ASSERT_EQUAL(std::string("LOG_LIMIT"), _daemon.detail(id, "notes"));
        const std::string marker = "\n[stage-agent: 2951424 bytes left out here, the limit is "
                                   "1048576 bytes]\n";
        const std::string log = _daemon.log(id);
        CPPUNIT_ASSERT_EQUAL(std::size_t{1'048'576} + marker.size(), log.size());
        CPPUNIT_ASSERT_EQUAL(std::size_t{524'288}, log.find(marker));
        CPPUNIT_ASSERT_EQUAL(std::to_string(log.size()), _daemon.detail(id, "logBytes"));
    }

    void testPluginMissing()
    {
        const auto plugin = writePlugin("going", "[/bin/true]");
        _daemon.start();
        const auto id =
            submit(R"({"type":"BUILD","plugin":"going","with":{},"approval":"required"})");
        _daemon.waitForStage(id, "AWAITING_APPROVAL");
        CPPUNIT_ASSERT_EQUAL(0, _daemon.stop());
        std::filesystem::remove_all(plugin);
        _daemon.start();
        CPPUNIT_ASSERT_EQUAL(200, _daemon.post("/api/runs/" + _run + "/approve-deployment").status);
        assertRecorded("FAILURE PLUGIN_MISSING null", id);
        CPPUNIT_ASSERT_EQUAL(std::string("there is no plugin 'going' on this host"),
                             _daemon.detail(id, "message"));
        CPPUNIT_ASSERT_EQUAL(std::string("0"), _daemon.detail(id, "durationMs"));
    }

    void testPluginError()
    {
        _daemon.start();
        // The command ended well, but what it tells later stages can't be read.
        assertEnd("FAILURE PLUGIN_ERROR 0", shell("echo nonsense > $STAGE_OUTPUTS"));
    }

    void testSpawnErrorIsNoExit127()
    {
        writePlugin("nowhere", "[no-such-program, x]");
        _daemon.start();
        const auto id = assertEnd("FAILURE SPAWN_ERROR null",
                                  R"({"type":"BUILD","plugin":"nowhere","with":{}})");
        CPPUNIT_ASSERT_EQUAL(
            std::string("cannot execute 'no-such-program': No such file or directory"),
            _daemon.detail(id, "message"));
        CPPUNIT_ASSERT_EQUAL(std::string("0"), _daemon.detail(id, "durationMs"));
        assertEnd("FAILURE EXIT 127", shell("no-such-program"));
    }

    void testShimLostEndsTheStagesProcesses()
    {
        _daemon.start();
        const auto id = submitRunning(
            shell("setsid sleep 601 & (setsid nohup sleep 602 >/dev/null 2>&1 &); sleep 603"));
        waitFor("its processes", [&] { return processesOf(id).size() >= 3; });
        ::kill(shimOf(attemptOf(_daemon, _run)), SIGKILL);
        assertRecorded("FAILURE SHIM_LOST null", id);
        assertNoneLeft(id);
    }

    void testHostRebootIsNeverExecutedAgain()
    {
        _daemon.start();
        const auto id = submitRunning(shell("echo x >> executions; sleep 600"));
        const auto attempt = attemptOf(_daemon, _run);
        const auto counter = attempt.parent_path().parent_path() / "workspace" / "executions";
        waitFor("it to execute", [&] { return contentOf(counter) == "x\n"; });
        _daemon.kill();
        cutPower(attempt, id);
        agent::test::moveToAnotherBoot(_daemon.state());
        _daemon.start();
        assertRecorded("FAILURE HOST_REBOOT null", id);
        CPPUNIT_ASSERT_EQUAL(std::string("x\n"), contentOf(counter));
    }

private:
    std::string submit(const std::string& stage, const std::string& next = "")
    {
        _run = _daemon.submit(next.empty() ? listOf({stage}) : listOf({stage, next}));
        return _daemon.stagesOf(_run)[0];
    }

    std::string submitRunning(const std::string& stage, const std::string& next = "")
    {
        auto id = submit(stage, next);
        waitFor("the command to run", [&] { return !processesOf(id).empty(); });
        return id;
    }

    void patch(const std::string& id, const std::string& status) const
    {
        const auto answer = _daemon.patch("/api/stages/" + id, R"({"status":")" + status + "\"}");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 200, answer.status);
    }

    /// `end`: status, cause, exit code.
    void assertRecorded(const std::string& end, const std::string& id) const
    {
        const auto status = end.substr(0, end.find(' '));
        waitFor("the stage to end",
                [&]
                {
                    const auto now = _daemon.detail(id, "status");
                    return now == "SUCCESS" || now == "FAILURE";
                });
        CPPUNIT_ASSERT_EQUAL(end, _daemon.detail(id, "status") + " " + _daemon.detail(id, "cause") +
                                      " " + _daemon.detail(id, "exitCode"));
        if (status == "FAILURE")
            _daemon.waitForRun(_run, "FAILURE");
    }

    std::string assertEnd(const std::string& end, const std::string& stage)
    {
        auto id = submit(stage);
        assertRecorded(end, id);
        return id;
    }

    static void assertNoneLeft(const std::string& id)
    {
        CPPUNIT_ASSERT_EQUAL(std::size_t(0), processesOf(id).size());
    }

    std::filesystem::path writePlugin(const std::string& name, const std::string& run) const
    {
        auto folder = _daemon.folder() / "plugins" / name;
        std::filesystem::create_directories(folder);
        std::ofstream(folder / "plugin.yaml")
            << "name: " << name << "\nversion: 1.0.0\ndescription: A test's.\nrun: " << run << "\n";
        return folder;
    }

protected:
    Daemon _daemon;

private:
    std::string _run;
};

/// The same causes in a sandbox.
class SandboxedCausesTest: public CausesTest
{
    CPPUNIT_TEST_SUB_SUITE(SandboxedCausesTest, CausesTest);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { _daemon.sandbox(); }
};

CPPUNIT_TEST_SUITE_REGISTRATION(CausesTest);
CPPUNIT_TEST_SUITE_REGISTRATION(SandboxedCausesTest);
