// How `stagectl exec` shows a growing log, and how it is stopped.
#include "tests/support/Exec.h"
#include "tests/support/Namespace.h"
#include "tests/support/TerminalProgram.h"

#include <cppunit/extensions/HelperMacros.h>

#include <chrono>

using agent::test::assertHas;
using agent::test::contentOf;
using agent::test::Ended;
using agent::test::ExecPlace;
using agent::test::RunningExec;
using agent::test::runProgram;
using agent::test::TerminalProgram;
using agent::test::waitFor;

namespace fs = std::filesystem;

namespace
{

/// Children in the stage's session, in their own, and without a parent; all ignore TERM.
const std::string deaf = "trap 'echo heard TERM' TERM\n"
                         "setsid sh -c 'trap \"\" TERM; sleep 971' & (trap '' TERM; sleep 971 &)\n"
                         "echo ready\n"
                         "while true; do sleep 971; done";

const std::string ctrlC = "\x03";

} // namespace

class StagectlExecStopTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(StagectlExecStopTest);
    CPPUNIT_TEST(testShowsTheLogAsItGrows);
    CPPUNIT_TEST(testEscapesSequencesAsLogsDoes);
    CPPUNIT_TEST(testCtrlCLetsTheStageEndWithinItsGrace);
    CPPUNIT_TEST(testAStageThatIgnoresTermIsKilledAfterItsGrace);
    CPPUNIT_TEST(testASecondCtrlCKillsAtOnce);
    CPPUNIT_TEST(testLeavesNoProcessWithoutACgroup);
    CPPUNIT_TEST(testTermAndHangupStopTheStage);
    CPPUNIT_TEST(testStopDuringPrepareSkipsTheStage);
    CPPUNIT_TEST(testAPausedReaderDoesNotDelayAStop);
    CPPUNIT_TEST(testAClosedPipeEndsTheStage);
    CPPUNIT_TEST(testOneCtrlCThatAlsoEndsTheReaderKeepsTheGrace);
    CPPUNIT_TEST(testAnIgnoredSignalDoesNotStopTheStage);
    CPPUNIT_TEST(testASlowReaderGetsAllBytes);
    CPPUNIT_TEST(testOutputThatCantBeWrittenEndsTheStage);
    CPPUNIT_TEST(testKillingTheCommandEndsTheStage);
    CPPUNIT_TEST(testReportsALostShim);
    CPPUNIT_TEST_SUITE_END();

public:
    void testShowsTheLogAsItGrows()
    {
        _place.app({{"BUILD", "echo first; while ! test -e " + _place.at("go") +
                                  "; do sleep 0.05; done; printf last"}});
        RunningExec exec(_place, {"app", "BUILD"});
        exec.untilOut("first\n");
        std::ofstream(_place.at("go")) << "";
        CPPUNIT_ASSERT_EQUAL_MESSAGE(exec.err(), 0, exec.end());
        CPPUNIT_ASSERT_EQUAL(std::string("first\nlast"), exec.out());
        _place.assertNothingLeft();
    }

    void testEscapesSequencesAsLogsDoes()
    {
        _place.app({{"BUILD", R"(printf '\033[31mred\033[0m \033]0;title\007\n')"}});
        CPPUNIT_ASSERT_EQUAL(std::string("\x1b[31mred\x1b[0m \\x1b]0;title\\x07\n"),
                             _place.exec(0, {"app", "BUILD"}).out);
        CPPUNIT_ASSERT_EQUAL(std::string("\x1b[31mred\x1b[0m \x1b]0;title\x07\n"),
                             _place.exec(0, {"app", "BUILD", "--raw"}).out);
    }

    void testCtrlCLetsTheStageEndWithinItsGrace()
    {
        _place.app({{"BUILD", "trap 'echo tidied up; exit 0' TERM\necho ready\n"
                              "while true; do sleep 0.05; done"}});
        TerminalProgram exec(_place.line({"app", "BUILD"}), environment(), 24, 200);
        exec.untilShown("ready");
        exec.type(ctrlC);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(exec.screen.text(), 130, exec.end());
        assertHas(exec.screen.text(), "exec: stopping; it has 2.000s to end by itself");
        assertHas(exec.screen.text(), "tidied up");
        assertHas(exec.screen.text(), "exec: BUILD ended in FAILURE");
        _place.assertNothingLeft();
    }

    void testAStageThatIgnoresTermIsKilledAfterItsGrace()
    {
        _place.app({{"BUILD", deaf}});
        TerminalProgram exec(_place.line({"app", "BUILD", "-D", "stage.grace=200ms"}),
                             environment(), 24, 200);
        exec.untilShown("ready");
        exec.type(ctrlC);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(exec.screen.text(), 130, exec.end());
        assertHas(exec.screen.text(), "cause STOPPED");
        assertHas(exec.screen.text(), "killed, as it did not end within 200 ms");
        _place.assertNothingLeft();
    }

    void testASecondCtrlCKillsAtOnce()
    {
        _place.app({{"BUILD", deaf}});
        TerminalProgram exec(_place.line({"app", "BUILD", "-D", "stage.grace=1h"}), environment(),
                             24, 200);
        exec.untilShown("ready");
        exec.type(ctrlC);
        exec.untilShown("Once more");
        auto next = std::chrono::steady_clock::now();
        exec.until("the kill",
                   [&]
                   {
                       // One that comes too soon does not count as the second; each is echoed by the terminal.
                       if (std::chrono::steady_clock::now() > next + std::chrono::milliseconds(250))
                       {
                           exec.type(ctrlC);
                           next = std::chrono::steady_clock::now();
                       }
                       return exec.screen.text().find("exec: killing") != std::string::npos;
                   });
        CPPUNIT_ASSERT_EQUAL_MESSAGE(exec.screen.text(), 130, exec.end());
        assertHas(exec.screen.text(), "exec: killing");
        _place.assertNothingLeft();
    }

    void testLeavesNoProcessWithoutACgroup()
    {
        _place.app({{"BUILD", deaf}});
        agent::test::withoutCgroups(
            [&]
            {
                RunningExec exec(_place, {"app", "BUILD", "-D", "stage.grace=1h"});
                exec.untilOut("ready");
                exec.signal(SIGINT);
                exec.untilErr("Once more");
                waitFor("the kill",
                        [&]
                        {
                            exec.signal(SIGTERM);
                            return exec.err().find("exec: killing") != std::string::npos;
                        });
                CPPUNIT_ASSERT_EQUAL_MESSAGE(exec.err(), 130, exec.end());
                _place.assertNothingLeft();

                RunningExec killed(_place, {"app", "BUILD", "-D", "stage.grace=200ms"});
                killed.untilOut("ready");
                killed.kill();
                waitFor("the stage to end", [&] { return _place.processes().empty(); });
            });
    }

    void testTermAndHangupStopTheStage()
    {
        _place.app({{"BUILD", "echo ready; sleep 971"}});
        for (const int signal : {SIGTERM, SIGHUP, SIGQUIT})
        {
            RunningExec exec(_place, {"app", "BUILD"});
            exec.untilOut("ready");
            const int pid = exec.pid();
            exec.signal(signal);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(exec.err(), 130, exec.end());
            assertHas(exec.err(), "cause STOPPED: stopped\n");
            _place.assertNothingLeft();
            CPPUNIT_ASSERT_EQUAL(std::string(), RunningExec::groups(_place, pid));
        }
    }

    void testStopDuringPrepareSkipsTheStage()
    {
        _place.app({{"PREPARE", "trap 'exit 0' TERM\necho ready\nwhile true; do sleep 0.05; done"},
                    {"BUILD", "echo built"}});
        RunningExec exec(_place, {"app", "BUILD"});
        exec.untilErr("ready");
        exec.signal(SIGINT);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(exec.err(), 130, exec.end());
        CPPUNIT_ASSERT_EQUAL(std::string(), exec.out());
        _place.assertNothingLeft();
    }

    /// A command that is blocked by a pager must still handle Ctrl-C.
    void testAPausedReaderDoesNotDelayAStop()
    {
        _place.app({{"BUILD", "yes"}});
        const auto ended = throughPipe("read line <&3; " + untilLogHas("1000000") +
                                           "kill -INT $exec; wait $exec; "
                                           "echo $? > code",
                                       "stage.grace=1h");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ended.err, 0, ended.exitCode);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ended.err, std::string("130\n"), contentOf(_place.at("code")));
        _place.assertNothingLeft();
    }

    void testAClosedPipeEndsTheStage()
    {
        _place.app({{"BUILD", "yes"}});
        const auto ended = throughPipe("read line <&3; exec 3<&-; wait $exec; echo $? > code");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ended.err, 0, ended.exitCode);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ended.err, std::string("141\n"), contentOf(_place.at("code")));
        _place.assertNothingLeft();
    }

    void testOneCtrlCThatAlsoEndsTheReaderKeepsTheGrace()
    {
        // Symptom: `exec | tee`, one Ctrl-C: killed at once. Cause: the broken pipe counted as the second one.
        _place.app({{"BUILD", "trap 'echo cleaning; sleep 0.5; touch " + _place.at("cleaned") +
                                  "; exit 0' TERM\necho ready\nwhile true; do sleep 0.05; done"}});
        const auto ended =
            throughPipe("read line <&3; exec 3<&-; kill -INT $exec; wait $exec; echo $? > code",
                        "stage.grace=1h");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ended.err, std::string("130\n"), contentOf(_place.at("code")));
        CPPUNIT_ASSERT_MESSAGE(ended.err, fs::exists(_place.at("cleaned")));
        _place.assertNothingLeft();
    }

    void testAnIgnoredSignalDoesNotStopTheStage()
    {
        _place.app({{"BUILD", "echo ready; until test -e " + _place.at("go") +
                                  "; do sleep 0.05; done; echo done"}});
        const auto ended = throughPipe("read line <&3; kill -HUP $exec; touch go; cat <&3 > rest; "
                                       "wait $exec; echo $? > code",
                                       "stage.grace=1h", "trap '' HUP; ");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ended.err, std::string("0\n"), contentOf(_place.at("code")));
        CPPUNIT_ASSERT_EQUAL(std::string("done\n"), contentOf(_place.at("rest")));
        _place.assertNothingLeft();
    }

    void testASlowReaderGetsAllBytes()
    {
        _place.app({{"BUILD", "seq 1 100000"}});
        const auto ended =
            throughPipe(untilLogHas("588895") + "cat <&3 > all; wait $exec; echo $? > code");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ended.err, std::string("0\n"), contentOf(_place.at("code")));
        CPPUNIT_ASSERT(_place.sh("seq 1 100000") == contentOf(_place.at("all")));
        _place.assertNothingLeft();
    }

    void testOutputThatCantBeWrittenEndsTheStage()
    {
        _place.app({{"BUILD", "echo something; sleep 971"}});
        std::string command = "exec";
        for (const auto& word : _place.line({"app", "BUILD"}))
            command += " '" + word + "'";
        const auto ended = runProgram({"/bin/sh", "-c", command + " > /dev/full"},
                                      _place.daemon.folder(), _place.environment());
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ended.err, 2, ended.exitCode);
        assertHas(ended.err, "standard output can't be written: No space left on device");
        _place.assertNothingLeft();
    }

    /// Without the command the stage can neither be stopped nor its end reported.
    void testKillingTheCommandEndsTheStage()
    {
        _place.app({{"BUILD", deaf}});
        RunningExec exec(_place, {"app", "BUILD", "-D", "stage.grace=200ms"});
        exec.untilOut("ready");
        const int pid = exec.pid();
        exec.kill();
        waitFor("the stage to end", [&] { return _place.processes().empty(); });
        // A group is busy until the kernel has done with its last process.
        (void)_place.sh("for i in $(seq 200); do left=; for group in $(echo '" +
                        RunningExec::groups(_place, pid) +
                        "'); do test ! -d $group || rmdir $group || left=1; done; "
                        "test -n \"$left\" || exit 0; sleep 0.05; done; exit 1");
        // The folder is left, with the outcome.
        const auto folder = fs::directory_iterator(_place.temporary())->path();
        assertHas(contentOf(folder / "0-BUILD/1/outcome.json"), "STOPPED");
    }

    void testReportsALostShim()
    {
        _place.app({{"BUILD", "setsid sleep 971 & kill -9 $PPID; sleep 971"}});
        assertHas(_place.exec(1, {"app", "BUILD"}).err, "cause SHIM_LOST");
    }

private:
    [[nodiscard]] std::vector<std::string> environment() const
    {
        std::vector<std::string> variables;
        for (const auto& [name, value] : _place.environment())
            variables.push_back(std::string(name).append("=").append(value));
        return variables;
    }

    /// An exec in the background of a shell, `$exec`, whose output the script may read from 3.
    [[nodiscard]] Ended throughPipe(const std::string& script,
                                    const std::string& definition = "stage.grace=2s",
                                    const std::string& before = "") const
    {
        std::string command;
        for (const auto& word : _place.line({"app", "BUILD", "-D", definition}))
            command += " '" + word + "'";
        // Without job control the shell would make it ignore INT.
        return runProgram({"/bin/bash", "-c",
                           before + "set -m; rm -f pipe; mkfifo pipe; " + command +
                               " > pipe & exec=$!; exec 3< pipe; " + script},
                          _place.daemon.folder(), _place.environment());
    }

    /// More than a pipe's capacity, so the writer has blocked.
    static std::string untilLogHas(const std::string& bytes)
    {
        return "until test \"$(stat -c %s tmp/*/0-BUILD/1/log)\" -ge " + bytes +
               " 2> /dev/null; do sleep 0.02; done; ";
    }

    ExecPlace _place;
};

CPPUNIT_TEST_SUITE_REGISTRATION(StagectlExecStopTest);
