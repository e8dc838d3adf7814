// stagectl's messages and tables: usage errors, old runs, following, against the real daemon.
#include "tests/support/Stagectl.h"
#include "tests/support/TerminalProgram.h"

#include <cppunit/extensions/HelperMacros.h>

using agent::test::Daemon;
using agent::test::Ended;
using agent::test::stagectl;
using agent::test::stagectlEnded;
using agent::test::terminalOf;
using agent::test::TerminalProgram;

namespace
{

using Words = std::vector<std::string>;

void assertHas(const std::string& text, const std::string& part)
{
    CPPUNIT_ASSERT_MESSAGE("'" + part + "' is not in:\n" + text,
                           text.find(part) != std::string::npos);
}

void assertLacks(const std::string& text, const std::string& part)
{
    CPPUNIT_ASSERT_MESSAGE("'" + part + "' is in:\n" + text, text.find(part) == std::string::npos);
}

/// Asserts that the text contains all of them in this order.
void assertInOrder(const std::string& text, const Words& parts)
{
    std::size_t at = 0;
    for (const std::string& part : parts)
    {
        at = text.find(part, at);
        CPPUNIT_ASSERT_MESSAGE("'" + part + "' is not in its place in:\n" + text,
                               at != std::string::npos);
        at += part.size();
    }
}

} // namespace

class StagectlWordsTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(StagectlWordsTest);
    CPPUNIT_TEST(testAnUnknownVerbOrOptionIsNamed);
    CPPUNIT_TEST(testPatchOffersOnlyWhatAStageCanBePatchedTo);
    CPPUNIT_TEST(testStopDistinguishesQueuedFromEndedRuns);
    CPPUNIT_TEST(testAPrefixFindsAnOldRun);
    CPPUNIT_TEST(testFollowReportsWhyEachAttemptFailed);
    CPPUNIT_TEST(testFollowShowsTheNamesOfStagesOfOneType);
    CPPUNIT_TEST(testNoTableIsWiderThanTheTerminal);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override
    {
        service("slow", "{ type: BUILD, plugin: shell, with: { command: sleep 971 } }");
        service(longName, "{ type: BUILD, plugin: shell, with: { command: 'true' } }");
        service("flaky", "{ type: BUILD, plugin: shell, retry: { attempts: 3 },\n"
                         "      with: { command: echo try $STAGE_ATTEMPT; "
                         "test $STAGE_ATTEMPT = 3 || exit 4 } }");
        service("named", "{ type: OTHER, name: lint, plugin: shell, with: { command: echo a } }\n"
                         "  - { type: OTHER, name: all docs, plugin: shell, "
                         "with: { command: exit 5 } }\n"
                         "  - { type: BUILD, plugin: shell, with: { command: 'true' } }");
        _daemon.start();
    }

    void testAnUnknownVerbOrOptionIsNamed()
    {
        const auto said = [&](const Words& line) { return ended(2, line).err; };
        CPPUNIT_ASSERT_EQUAL(std::string("stagectl: unknown verb 'log', did you mean 'logs'?\n"
                                         "stagectl:   see: stagectl --help\n"),
                             said({"log", "3f2a9c"}));
        CPPUNIT_ASSERT_EQUAL(std::string("stagectl: unknown verb 'foo'\n"
                                         "stagectl:   see: stagectl --help\n"),
                             said({"foo"}));
        assertHas(said({"servces", "--json"}), "'servces', did you mean 'services'?");
        assertHas(said({"--bogus"}), "unknown option '--bogus'\n");
        assertHas(said({"--jsn=1"}), "unknown option '--jsn', did you mean '--json'?");
        assertHas(said({"logs", "--folow"}), "unknown option '--folow', did you mean '--follow'?");
        assertHas(said({"logs", "3f2a9c", "--bogus"}), "unknown option '--bogus'\n");
        assertHas(said({"logs", "3f2a9c", "--bogus"}), "see: stagectl logs --help");
        assertHas(said({}), "a verb is missing");
        assertHas(said({"logs"}), "STAGE is required");
        assertHas(said({"agent", "extra"}), "extra");
    }

    void testPatchOffersOnlyWhatAStageCanBePatchedTo()
    {
        const std::string patch = ended(2, {"patch", "3f2a9c", "foo", "--reason", "x"}).err;
        assertHas(patch, "must be waiting, running, success or failed");
        assertHas(ended(2, {"runs", "--status", "foo"}).err, "needs-approval");
    }

    void testStopDistinguishesQueuedFromEndedRuns()
    {
        const std::string first = _daemon.submitService("slow");
        _daemon.waitForRun(first, "IN_PROGRESS");
        const std::string queued = _daemon.submitService("slow");
        assertHas(ended(0, {"stop", queued}).out, "ended; no stage was running");
        CPPUNIT_ASSERT_EQUAL(std::string("FAILURE"), _daemon.statusOf(queued));
        assertHas(ended(0, {"stop", queued}).out, "had already ended in FAILURE");
        assertHas(ended(0, {"stop", first}).out, "stopped 1 stage");
    }

    /// Symptom: "no run begins with" an existing one. Cause: only the newest 1000 were searched.
    /// Bound: all runs; stages only of the newest 100 runs, as the message says.
    void testAPrefixFindsAnOldRun()
    {
        const std::string oldest = _daemon.submitService("slow");
        _daemon.waitForRun(oldest, "IN_PROGRESS");
        const std::string stage = _daemon.stagesOf(oldest)[0];
        for (int i = 0; i < 1000; ++i)
            _daemon.submitService("slow");
        assertHas(ended(0, {"stages", oldest.substr(0, 8)}).out, stage);
        assertHas(ended(0, {"stage", stage}).out, oldest);
        const std::string none = ended(4, {"stage", stage.substr(0, 8)}).err;
        assertHas(none,
                  "no run, and no stage of the newest 100 runs, begins with " + stage.substr(0, 8));
        assertHas(none, "give the full id");
        assertHas(ended(4, {"history", stage.substr(0, 8)}).err,
                  "no run, and no stage of the newest 100 runs, begins with");
    }

    void testFollowReportsWhyEachAttemptFailed()
    {
        const std::string out = ended(0, {"run", "flaky", "-f"}).out;
        assertInOrder(out,
                      {"BUILD | try 1\n", "BUILD attempt 1 FAILURE in ", "(EXIT 4",
                       "BUILD | try 2\n", "BUILD attempt 2 FAILURE in ", "(EXIT 4",
                       "BUILD | try 3\n", "BUILD SUCCESS in ", ", attempt 3\n", "run SUCCESS"});
        assertLacks(out, "attempt 3 FAILURE");
        assertLacks(out.substr(out.find("attempt 1 FAILURE") + 1), "attempt 1 FAILURE");
    }

    void testFollowShowsTheNamesOfStagesOfOneType()
    {
        assertInOrder(ended(1, {"run", "named", "-f"}).out,
                      {"OTHER (lint) | a\n", "OTHER (lint) SUCCESS in",
                       "OTHER (all docs) FAILURE in ", "run FAILURE"});
        TerminalProgram shown(stagectl({"run", "named", "--follow"}), terminalOf(_daemon), 24, 80);
        CPPUNIT_ASSERT_EQUAL(1, shown.end());
        assertInOrder(shown.screen.text(), {"OTHER (lint)      Success", "OTHER (all docs)  Failed",
                                            "\nBUILD             Waiting"});
    }

    void testNoTableIsWiderThanTheTerminal()
    {
        const std::string run = ended(0, {"run", longName, "--commit", "0123456789abcdef",
                                          "--message", std::string(100, 'm')})
                                    .out.substr(0, 36);
        _daemon.waitForRun(run, "SUCCESS");
        const std::string other =
            "http://localhost" + _daemon.url().substr(_daemon.url().rfind(':'));
        for (const Words& verb : {Words{"services"},
                                  {"runs"},
                                  {"history", run},
                                  {"plugins"},
                                  {"--agent", _daemon.url(), "--agent", other, "runs"}})
            for (const std::size_t columns : {40U, 60U, 80U})
            {
                TerminalProgram shown(stagectl(verb), terminalOf(_daemon), 24, columns);
                CPPUNIT_ASSERT_EQUAL(0, shown.end());
                CPPUNIT_ASSERT_EQUAL_MESSAGE(shown.screen.text(), std::size_t{0},
                                             shown.screen.wrapped());
                assertLacks(shown.screen.text(), longName);
            }
        TerminalProgram shown(stagectl({"runs"}), terminalOf(_daemon), 24, 80);
        CPPUNIT_ASSERT_EQUAL(0, shown.end());
        assertHas(shown.screen.text(), run.substr(0, 8) + "  Success  llllll");
        assertHas(ended(0, {"services"}).out, longName); // in a pipe nothing is cut
    }

private:
    void service(const std::string& name, const std::string& stage)
    {
        _daemon.writeService(name, "name: " + name + "\nstages:\n  - " + stage + "\n");
    }

    [[nodiscard]] Ended ended(int exitCode, const Words& arguments) const
    {
        return stagectlEnded(_daemon, exitCode, arguments);
    }

    const std::string longName = std::string(62, 'l');
    Daemon _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(StagectlWordsTest);
