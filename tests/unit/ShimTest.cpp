#include "tests/support/ShimRun.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

namespace agent
{

using test::assertCause;
using test::assertNothingLeft;
using test::inAllContainments;
using test::ShimRun;

/// Ends of a stage: each sentence of Supervisor.h about processes, with the real program. Where
/// the host gives us a cgroup most run with and without.
class ShimTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(ShimTest);
    CPPUNIT_TEST(testExitCodeIsTheCommands);
    CPPUNIT_TEST(testSignalIsReported);
    CPPUNIT_TEST(testMissingCommandIsSpawnErrorAndExit127IsNot);
    CPPUNIT_TEST(testFolderThatCannotBeEnteredIsSpawnError);
    CPPUNIT_TEST(testTimeoutKillsTreeThatIgnoresTerm);
    CPPUNIT_TEST(testTimeoutLetsTreeCleanUp);
    CPPUNIT_TEST(testSilenceEndsAndOutputPutsItOff);
    CPPUNIT_TEST(testStopEndsTree);
    CPPUNIT_TEST(testStopBeforeTheCommandExecutesNothing);
    CPPUNIT_TEST(testStopWakesStoppedProcesses);
    CPPUNIT_TEST(testTermToAllAtOnceIsNoEndOfItsOwn);
    CPPUNIT_TEST(testTermReachesWhatIsForkedMeanwhile);
    CPPUNIT_TEST(testAFolderThatIsGoneKeepsNoShim);
    CPPUNIT_TEST(testNothingEscapesTheEnd);
    CPPUNIT_TEST(testGrandchildThatHoldsThePipeDoesNotHang);
    CPPUNIT_TEST(testForkingTreeIsKilled);
    CPPUNIT_TEST(testAProcessThatHasLostItsFirstThreadIsEnded);
    CPPUNIT_TEST(testForeignHolderOfThePipeDoesNotHang);
    CPPUNIT_TEST(testCommandGetsNothingOfOurs);
    CPPUNIT_TEST(testPluginCrashIsPluginError);
    CPPUNIT_TEST_SUITE_END();

public:
    void testExitCodeIsTheCommands();
    void testSignalIsReported();
    void testMissingCommandIsSpawnErrorAndExit127IsNot();
    void testFolderThatCannotBeEnteredIsSpawnError();
    void testTimeoutKillsTreeThatIgnoresTerm();
    void testTimeoutLetsTreeCleanUp();
    void testSilenceEndsAndOutputPutsItOff();
    void testStopEndsTree();
    void testStopBeforeTheCommandExecutesNothing();
    void testStopWakesStoppedProcesses();
    void testTermToAllAtOnceIsNoEndOfItsOwn();
    void testTermReachesWhatIsForkedMeanwhile();
    void testAFolderThatIsGoneKeepsNoShim();
    void testNothingEscapesTheEnd();
    void testGrandchildThatHoldsThePipeDoesNotHang();
    void testForkingTreeIsKilled();
    void testAProcessThatHasLostItsFirstThreadIsEnded();
    void testForeignHolderOfThePipeDoesNotHang();
    void testCommandGetsNothingOfOurs();
    void testPluginCrashIsPluginError();
};

CPPUNIT_TEST_SUITE_REGISTRATION(ShimTest);

void ShimTest::testExitCodeIsTheCommands()
{
    inAllContainments(
        [](ShimRun& run)
        {
            run.shell("echo hello; exit 3");
            const Outcome outcome = run.run();
            assertCause(Cause::Exit, outcome);
            CPPUNIT_ASSERT(outcome.exitCode == 3);
            CPPUNIT_ASSERT(!outcome.signal);
            CPPUNIT_ASSERT_EQUAL(std::string("exited with code 3"), outcome.message);
            CPPUNIT_ASSERT_EQUAL(std::string("hello\n"), run.log());
            CPPUNIT_ASSERT_EQUAL(std::int64_t{6}, outcome.logBytes);
            CPPUNIT_ASSERT_EQUAL(std::string(run.cgroup().empty() ? "subreaper" : "cgroup"),
                                 outcome.containment);
        });
    ShimRun success(false);
    success.shell("exit 0");
    const Outcome outcome = success.run();
    CPPUNIT_ASSERT(outcome.succeeded());
    CPPUNIT_ASSERT_EQUAL(std::string(), outcome.message);
    CPPUNIT_ASSERT(!std::filesystem::exists(success.folder() / "outcome.json.tmp"));
}

void ShimTest::testSignalIsReported()
{
    ShimRun run(false);
    run.shell("kill -SEGV $$");
    const Outcome outcome = run.run();
    assertCause(Cause::Signal, outcome);
    CPPUNIT_ASSERT(outcome.signal == SIGSEGV);
    CPPUNIT_ASSERT(!outcome.exitCode);
    CPPUNIT_ASSERT_EQUAL(std::string("ended by SIGSEGV"), outcome.message);
}

void ShimTest::testMissingCommandIsSpawnErrorAndExit127IsNot()
{
    const auto messageOf = [](const std::string& program)
    {
        ShimRun run(false);
        std::ofstream(run.folder() / "plain") << "no program";
        run.order.env["PATH"] = run.folder().string() + ":/usr/bin";
        run.order.argv = {program};
        const Outcome outcome = run.run();
        assertCause(Cause::SpawnError, outcome);
        CPPUNIT_ASSERT(!outcome.exitCode);
        return outcome.message;
    };
    CPPUNIT_ASSERT_EQUAL(std::string("cannot execute 'no-such': No such file or directory"),
                         messageOf("no-such"));
    CPPUNIT_ASSERT_EQUAL(std::string("cannot execute '/no/such': No such file or directory"),
                         messageOf("/no/such"));
    CPPUNIT_ASSERT_EQUAL(std::string("cannot execute 'plain': Permission denied"),
                         messageOf("plain"));
    CPPUNIT_ASSERT_EQUAL(std::string("the order names no command"), messageOf(""));

    ShimRun run(false);
    run.shell("no-such-command");
    const Outcome outcome = run.run();
    assertCause(Cause::Exit, outcome);
    CPPUNIT_ASSERT(outcome.exitCode == 127);
}

void ShimTest::testFolderThatCannotBeEnteredIsSpawnError()
{
    inAllContainments(
        [](ShimRun& run)
        {
            run.shell("touch executed");
            run.order.cwd = "/no/such/folder";
            const Outcome outcome = run.run();
            assertCause(Cause::SpawnError, outcome);
            CPPUNIT_ASSERT_EQUAL(
                std::string("cannot enter '/no/such/folder': No such file or directory"),
                outcome.message);
        });
}

void ShimTest::testTimeoutKillsTreeThatIgnoresTerm()
{
    inAllContainments(
        [](ShimRun& run)
        {
            run.shell("trap '' TERM; (trap '' TERM; sleep 600) & "
                      "setsid sh -c 'trap \"\" TERM; sleep 600' & echo up; wait; sleep 600");
            run.order.timeoutMs = 300;
            run.order.graceMs = 200;
            const Outcome outcome = run.run();
            assertCause(Cause::Timeout, outcome);
            CPPUNIT_ASSERT_EQUAL(
                std::string("ran past its timeout of 300 ms; killed, as it did not "
                            "end within 200 ms"),
                outcome.message);
            CPPUNIT_ASSERT(!outcome.exitCode && !outcome.signal);
            CPPUNIT_ASSERT(outcome.durationMs >= 500 && outcome.durationMs < 5000);
            assertNothingLeft(run);
        });
}

void ShimTest::testTimeoutLetsTreeCleanUp()
{
    inAllContainments(
        [](ShimRun& run)
        {
            run.shell(
                "(trap 'sleep 0.3; echo child cleaned; exit' TERM; while :; do sleep 0.05; done) & "
                "trap 'echo cleaned; exit 0' TERM; while :; do sleep 0.05; done");
            run.order.timeoutMs = 300;
            const Outcome outcome = run.run();
            assertCause(Cause::Timeout, outcome);
            CPPUNIT_ASSERT_EQUAL(std::string("ran past its timeout of 300 ms"), outcome.message);
            // The child had more time than the command. The shell's own words may stand between.
            const std::size_t cleaned = run.log().find("cleaned\n");
            CPPUNIT_ASSERT(cleaned != std::string::npos);
            CPPUNIT_ASSERT(run.log().find("child cleaned\n") > cleaned);
            CPPUNIT_ASSERT(run.log().ends_with("child cleaned\n"));
            CPPUNIT_ASSERT(outcome.durationMs < 4000);
            assertNothingLeft(run);
        });
}

void ShimTest::testSilenceEndsAndOutputPutsItOff()
{
    ShimRun run(false);
    run.shell("for i in 1 2 3 4 5 6; do echo $i; sleep 0.1; done >&2; sleep 600");
    run.order.silenceMs = 400;
    const Outcome outcome = run.run();
    assertCause(Cause::Silent, outcome);
    CPPUNIT_ASSERT_EQUAL(std::string("printed nothing for 400 ms"), outcome.message);
    CPPUNIT_ASSERT_EQUAL(std::string("1\n2\n3\n4\n5\n6\n"), run.log());
    CPPUNIT_ASSERT(outcome.durationMs >= 900);
}

void ShimTest::testStopEndsTree()
{
    inAllContainments(
        [](ShimRun& run)
        {
            run.shell("sleep 600 & setsid sleep 600 & echo up; wait");
            run.start();
            CPPUNIT_ASSERT(run.logHolds("up\n"));
            run.signalShim(SIGTERM);
            const Outcome outcome = run.finish();
            assertCause(Cause::Stopped, outcome);
            CPPUNIT_ASSERT_EQUAL(std::string("stopped"), outcome.message);
            CPPUNIT_ASSERT(outcome.durationMs < 4000);
            assertNothingLeft(run);
        });
}

void ShimTest::testStopBeforeTheCommandExecutesNothing()
{
    ShimRun run(false);
    run.shell("touch executed");
    run.pendingStop = true;
    assertCause(Cause::Stopped, run.run());
    CPPUNIT_ASSERT(!std::filesystem::exists(run.folder() / "executed"));
}

void ShimTest::testStopWakesStoppedProcesses()
{
    inAllContainments(
        [](ShimRun& run)
        {
            run.shell("trap 'echo woken; exit' TERM; echo up; kill -STOP $$; sleep 600");
            run.start();
            CPPUNIT_ASSERT(run.logHolds("up\n"));
            run.signalShim(SIGTERM);
            assertCause(Cause::Stopped, run.finish());
            CPPUNIT_ASSERT_EQUAL(std::string("up\nwoken\n"), run.log());
            assertNothingLeft(run);
        });
}

void ShimTest::testTermToAllAtOnceIsNoEndOfItsOwn()
{
    // As a host does that goes down. The shim hears of it no later than it sees its command gone.
    for (const char* command :
         {"echo up; exec sleep 600", "trap 'exit 143' TERM; echo up; sleep 600"})
    {
        ShimRun run(false);
        run.shell(command);
        run.start();
        CPPUNIT_ASSERT(run.logHolds("up\n"));
        run.signalShim(SIGSTOP);
        for (const int pid : run.processes())
            ::kill(pid, SIGTERM);
        run.signalShim(SIGTERM);
        run.signalShim(SIGCONT);
        assertCause(Cause::Stopped, run.finish());
    }
}

void ShimTest::testTermReachesWhatIsForkedMeanwhile()
{
    // Symptom: a stage that forked while it was stopped lived until the end of its grace. Cause: the child was
    // not yet there when the processes were listed, and its parent was gone when TERM came. Bound: no KILL.
    inAllContainments(
        [](ShimRun& run)
        {
            run.order.graceMs = 20'000;
            // Listed and signalled in order of age: the one that forks comes last.
            run.shell("i=0; while [ $i -lt 200 ]; do sleep 600 & i=$((i + 1)); done; "
                      "sh -c 'echo up; while :; do sleep 600 & sleep 0.001; done' & wait");
            run.start();
            CPPUNIT_ASSERT(run.logHolds("up\n"));
            run.signalShim(SIGTERM);
            const Outcome outcome = run.finish();
            assertCause(Cause::Stopped, outcome);
            CPPUNIT_ASSERT_EQUAL(std::string("stopped"), outcome.message);
            assertNothingLeft(run);
        });
}

void ShimTest::testAFolderThatIsGoneKeepsNoShim()
{
    // Symptom: a shim whose attempt was removed tried to write its end for ever. Bound: it gives up.
    ShimRun run(false);
    run.shell("echo up; exec sleep 600");
    run.start();
    CPPUNIT_ASSERT(run.logHolds("up\n"));
    std::filesystem::remove_all(run.folder());
    run.signalShim(SIGTERM);
    CPPUNIT_ASSERT(run.wait() >= 0);
    assertNothingLeft(run);
}

void ShimTest::testNothingEscapesTheEnd()
{
    inAllContainments(
        [](ShimRun& run)
        {
            // A daemon by the book, one that is stopped, one that ignores all, one in a new session.
            run.shell("(setsid sh -c '(sleep 600 &) & exit' &) ; "
                      "sh -c 'kill -STOP $$; sleep 600' & "
                      "(trap '' TERM HUP INT; sleep 600) & "
                      "setsid nohup sleep 600 >/dev/null 2>&1 </dev/null & "
                      "sleep 0.2; exit 4");
            const Outcome outcome = run.run();
            assertCause(Cause::Exit, outcome);
            CPPUNIT_ASSERT(outcome.exitCode == 4);
            CPPUNIT_ASSERT(outcome.durationMs < 3000);
            assertNothingLeft(run);
        });
}

void ShimTest::testGrandchildThatHoldsThePipeDoesNotHang()
{
    inAllContainments(
        [](ShimRun& run)
        {
            run.shell("(while :; do echo noise; done) & echo done >&2; exit 0");
            const Outcome outcome = run.run();
            CPPUNIT_ASSERT(outcome.succeeded());
            CPPUNIT_ASSERT(outcome.durationMs < 3000);
            CPPUNIT_ASSERT(run.log().find("done\n") != std::string::npos);
            assertNothingLeft(run);
        });
}

void ShimTest::testForkingTreeIsKilled()
{
    inAllContainments(
        [](ShimRun& run)
        {
            // Each link of the chain lives for a moment only, and ignores what it can.
            std::ofstream(run.folder() / "chain")
                << "trap '' TERM\nsh ./chain &\nsh -c 'sleep 0.02'\n";
            run.shell("sh ./chain & sleep 0.3; exit 0");
            CPPUNIT_ASSERT(run.run().succeeded());
            assertNothingLeft(run);
        });
}

void ShimTest::testAProcessThatHasLostItsFirstThreadIsEnded()
{
    // Symptom: a program whose main() called pthread_exit() was never ended. Cause: it looks like a zombie, so
    // it got no signal, and cgroup.kill passes over it. Bound: it gets TERM and KILL as any other.
    const std::string program = STAGE_AGENT_BIN_DIR "/../test-programs/leaderless";
    const std::string ended = "ran past its timeout of 300 ms";
    const std::map<std::string, std::string> messages{
        {"", ended}, {"trap '' TERM; ", ended + "; killed, as it did not end within 500 ms"}};
    for (const auto& [ignoring, message] : messages)
        inAllContainments(
            [&, ignoring = ignoring, message = message](ShimRun& run)
            {
                run.shell(ignoring + "exec " + program);
                run.order.timeoutMs = 300;
                run.order.graceMs = 500;
                const Outcome outcome = run.run();
                assertCause(Cause::Timeout, outcome);
                CPPUNIT_ASSERT_EQUAL(message, outcome.message);
                assertNothingLeft(run);
            });
    inAllContainments(
        [&](ShimRun& run)
        {
            run.shell(program + " & until grep -q ^State:.Z /proc/$!/status; do sleep 0.01; done; "
                                "exit 3");
            CPPUNIT_ASSERT(run.run().exitCode == 3);
            assertNothingLeft(run);
        });
}

void ShimTest::testForeignHolderOfThePipeDoesNotHang()
{
    ShimRun run(false);
    run.shell("echo $$; exec sleep 600");
    run.start();
    CPPUNIT_ASSERT(run.logHolds("\n"));
    const int pid = std::stoi(run.log());
    // This test opens the command's stdout for itself, as a process outside the stage.
    const int held =
        ::open(("/proc/" + std::to_string(pid) + "/fd/1").c_str(), O_WRONLY | O_CLOEXEC);
    CPPUNIT_ASSERT(held >= 0);
    ::kill(pid, SIGKILL);
    const Outcome outcome = run.finish();
    ::close(held);
    assertCause(Cause::Signal, outcome);
}

void ShimTest::testCommandGetsNothingOfOurs()
{
    inAllContainments(
        [](ShimRun& run)
        {
            const int leaked = ::open("/etc/passwd", O_RDONLY);
            run.leakedFd = leaked;
            run.secrets = {{"TOKEN", "some-secret"}};
            run.order.env = {{"PATH", "/usr/bin:/bin"}, {"ONLY", "this"}};
            // The signal masks are grep's: the shell's own are blocked while it forks.
            run.order.argv = {"/bin/sh", "-c",
                              "cat /proc/self/environ | tr '\\0' '\\n' | sort; ls -1 /proc/$$/fd; "
                              "readlink /proc/$$/fd/0; grep -E 'Sig(Blk|Ign)' /proc/self/status; "
                              "cat /proc/$$/oom_score_adj; ulimit -c; umask"};
            const Outcome outcome = run.run();
            ::close(leaked);
            CPPUNIT_ASSERT(outcome.succeeded());
            std::string log = run.log();
            if (const auto pwd = log.find("PWD="); pwd != std::string::npos) // the shell's own
                log.erase(pwd, log.find('\n', pwd) + 1 - pwd);
            CPPUNIT_ASSERT_EQUAL(std::string("ONLY=this\nPATH=/usr/bin:/bin\nTOKEN=***\n0\n1\n2\n"
                                             "/dev/null\nSigBlk:\t0000000000000000\n"
                                             "SigIgn:\t0000000000000000\n0\n0\n0022\n"),
                                 log);
        });
}

void ShimTest::testPluginCrashIsPluginError()
{
    const auto endOf = [](const std::string& script)
    {
        ShimRun run(false);
        run.order.library = true;
        run.order.plugin = "git";
        run.shell(script);
        return run.run();
    };
    const Outcome crash = endOf("kill -SEGV $$");
    assertCause(Cause::PluginError, crash);
    CPPUNIT_ASSERT_EQUAL(std::string("plugin git crashed: SIGSEGV"), crash.message);
    CPPUNIT_ASSERT(crash.signal == SIGSEGV);
    const Outcome unloadable = endOf("exit 120");
    assertCause(Cause::PluginError, unloadable);
    CPPUNIT_ASSERT(unloadable.exitCode == 120);
    assertCause(Cause::Exit, endOf("exit 1"));
}

} // namespace agent
