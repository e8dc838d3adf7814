// What a command leaves behind is ended, and told: by the log's last line and a note of the outcome.
#include "tests/support/ShimRun.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

namespace agent
{

using test::inAllContainments;
using test::ShimRun;

class LeftBehindTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(LeftBehindTest);
    CPPUNIT_TEST(testIsTheLastLineAndANote);
    CPPUNIT_TEST(testALineWithoutEndIsEndedFirst);
    CPPUNIT_TEST(testTenAreNamedAndTheRestCounted);
    CPPUNIT_TEST(testNothingIsToldWhereNothingWasLeft);
    CPPUNIT_TEST(testWhatAStopEndsWasNotLeftBehind);
    CPPUNIT_TEST(testANameIsTheStagesWord);
    CPPUNIT_TEST(testADaemonThatDoesNotKnowTheNoteGetsNone);
    CPPUNIT_TEST_SUITE_END();

public:
    void testIsTheLastLineAndANote()
    {
        inAllContainments(
            [](ShimRun& run)
            {
                run.order.knowsLeftBehind = true;
                run.shell(sleeper() + "echo $p; echo done");
                const Outcome outcome = run.run();
                CPPUNIT_ASSERT(outcome.succeeded());
                assertNotes({Cause::LeftBehind}, outcome);
                const std::string log = run.log();
                const std::string pid = log.substr(0, log.find('\n'));
                std::string expected = pid;
                expected += "\ndone\n[stage-agent: ended 1 process that the command left behind: "
                            "sleep (";
                expected += pid + ")]\n";
                CPPUNIT_ASSERT_EQUAL(expected, log);
                CPPUNIT_ASSERT_EQUAL(3, int{run.index().back().stream});
                test::assertNothingLeft(run);
            });
    }

    void testALineWithoutEndIsEndedFirst()
    {
        inAllContainments(
            [](ShimRun& run)
            {
                run.shell(sleeper() + "printf 'no end'; exit 3");
                const Outcome outcome = run.run();
                CPPUNIT_ASSERT_EQUAL(3, outcome.exitCode.value_or(-1));
                CPPUNIT_ASSERT_MESSAGE(run.log(),
                                       run.log().starts_with("no end\n[stage-agent: ended 1 "));
            });
    }

    void testTenAreNamedAndTheRestCounted()
    {
        inAllContainments(
            [](ShimRun& run)
            {
                run.shell("for i in 1 2 3 4 5 6 7 8 9 10 11 12; do " + sleeper() + "done");
                CPPUNIT_ASSERT(run.run().succeeded());
                const std::string log = run.log();
                std::size_t named = 0;
                for (auto at = log.find("sleep ("); at != std::string::npos;
                     at = log.find("sleep (", at + 1))
                    ++named;
                CPPUNIT_ASSERT_EQUAL_MESSAGE(log, std::size_t{10}, named);
                CPPUNIT_ASSERT_MESSAGE(log, log.starts_with("[stage-agent: ended 12 processes "));
                CPPUNIT_ASSERT_MESSAGE(log, log.ends_with(") and 2 more]\n"));
            });
    }

    void testNothingIsToldWhereNothingWasLeft()
    {
        inAllContainments(
            [](ShimRun& run)
            {
                run.order.knowsLeftBehind = true;
                run.shell("sleep 0.01 & wait; echo a | cat");
                const Outcome outcome = run.run();
                CPPUNIT_ASSERT(outcome.succeeded());
                CPPUNIT_ASSERT_EQUAL(std::string("a\n"), run.log());
                assertNotes({}, outcome);
            });
    }

    void testWhatAStopEndsWasNotLeftBehind()
    {
        inAllContainments(
            [](ShimRun& run)
            {
                run.order.knowsLeftBehind = true;
                run.shell("trap 'exit 143' TERM; sleep 600 & echo up; wait");
                run.start();
                CPPUNIT_ASSERT(run.logHolds("up\n"));
                run.signalShim(SIGTERM);
                const Outcome outcome = run.finish();
                test::assertCause(Cause::Stopped, outcome);
                assertNotes({}, outcome);
                CPPUNIT_ASSERT_EQUAL(std::string("up\n"), run.log());
            });
    }

    /// It may hold a secret, or what would look like a line of its own.
    void testANameIsTheStagesWord()
    {
        inAllContainments(
            [](ShimRun& run)
            {
                run.secrets["TOKEN"] = "hunter2hunter2";
                run.shell("cp /bin/sleep hunter2hunter2; " + sleeper("hunter2hunter2") +
                          "n=$(printf 'a\\nb'); cp /bin/sleep \"$n\"; " + sleeper("$n"));
                CPPUNIT_ASSERT(run.run().succeeded());
                const std::string log = run.log();
                CPPUNIT_ASSERT_MESSAGE(log, log.find("behind: *** (") != std::string::npos ||
                                                log.find(", *** (") != std::string::npos);
                CPPUNIT_ASSERT_MESSAGE(log, log.find("a?b (") != std::string::npos);
                CPPUNIT_ASSERT_EQUAL(log.size() - 1, log.find('\n'));
            });
    }

    /// One that was upgraded, and not yet restarted, would refuse an outcome with a note that it does not know.
    void testADaemonThatDoesNotKnowTheNoteGetsNone()
    {
        ShimRun run(false);
        run.shell(sleeper());
        assertNotes({}, run.run());
        CPPUNIT_ASSERT_MESSAGE(run.log(), run.log().find("left behind") != std::string::npos);
    }

private:
    /// Starts a process and waits until it is the program: `$p` is its pid.
    static std::string sleeper(const std::string& program = "sleep")
    {
        std::string name = "\"";
        name += program + "\"";
        std::string start = program == "sleep" ? name : "./" + name;
        return start + " 600 & p=$!; until read c </proc/$p/comm; test \"$c\" != sh; do :; done; ";
    }

    static void assertNotes(const std::vector<Cause>& expected, const Outcome& outcome)
    {
        std::string notes;
        for (const Cause note : outcome.notes)
            notes += std::string(toString(note)) + " ";
        CPPUNIT_ASSERT_MESSAGE(notes, expected == outcome.notes);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LeftBehindTest);

} // namespace agent
