// `stagectl run --follow` as a person sees it: on a terminal of its own, against the real daemon.
#include "tests/support/TerminalProgram.h"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <fstream>

using agent::test::Daemon;
using agent::test::TerminalProgram;

class LiveViewTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(LiveViewTest);
    CPPUNIT_TEST(testStagesStandAboveTheEndOfTheLog);
    CPPUNIT_TEST(testIsDrawnInPlaceAndLeavesTheTableOfARunThatWentWell);
    CPPUNIT_TEST(testAFailureLeavesItsReasonAndItsLog);
    CPPUNIT_TEST(testAnotherSizeIsTakenUp);
    CPPUNIT_TEST(testInterruptLeavesTheTerminalAsItWasAndTheRunGoing);
    CPPUNIT_TEST(testLogCanNotSteerTheTerminal);
    CPPUNIT_TEST(testTimeGoesOnWhileNothingIsPrinted);
    CPPUNIT_TEST(testNoColoursWhereNoneAreWanted);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { _daemon.start(); }

    void testStagesStandAboveTheEndOfTheLog()
    {
        service({"echo first", "seq 1000; " + gate(), "true", "true"});
        TerminalProgram shown(follow(), environment(), 24, 80);
        shown.untilShown("1000");
        shown.untilShown("PREPARE       Success "); // each stage is asked for by itself
        const auto lines = shown.screen.lines();
        // The first line says that the run goes on, the second is the heading.
        assertStarts(lines, 0, "run ");
        assertStarts(lines, 1, "STAGE ");
        assertStarts(lines, 2, "PREPARE       Success ");
        assertStarts(lines, 3, "CODE_QUALITY  Running ");
        assertStarts(lines, 4, "UNIT_TEST     Waiting");
        assertStarts(lines, 5, "BUILD         Waiting");
        assertStarts(lines, 6, "-- log of CODE_QUALITY --");
        for (std::size_t i = 7; i < lines.size(); ++i)
            CPPUNIT_ASSERT_EQUAL(std::to_string(1000 - lines.size() + 1 + i), lines[i]);
        CPPUNIT_ASSERT_EQUAL(std::size_t{23}, lines.size());
        open();
        CPPUNIT_ASSERT_EQUAL(0, shown.end());
    }

    void testIsDrawnInPlaceAndLeavesTheTableOfARunThatWentWell()
    {
        service({"seq 100", gate(), "printf '%0200d\\n' 0", "echo a"});
        TerminalProgram shown(follow(), environment(), 24, 80);
        shown.untilShown("CODE_QUALITY  Running  1s"); // drawn more than once
        open();
        CPPUNIT_ASSERT_EQUAL(0, shown.end());
        const auto lines = shown.screen.lines();
        CPPUNIT_ASSERT_EQUAL_MESSAGE(shown.screen.text(), std::size_t{6}, lines.size());
        assertStarts(lines, 0, "run ");
        CPPUNIT_ASSERT(lines[0].find("Success") != std::string::npos);
        for (std::size_t i = 2; i < 6; ++i)
            CPPUNIT_ASSERT_MESSAGE(lines[i], lines[i].find(" Success  ") != std::string::npos);
        assertLeftAsItWas(shown);
        CPPUNIT_ASSERT_EQUAL(std::size_t{6}, shown.screen.row()); // where the shell's prompt goes
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, shown.screen.wrapped());
        CPPUNIT_ASSERT(shown.written().find("\x1b[32mSuccess") != std::string::npos);
        // What stands there is written over, not wiped first.
        CPPUNIT_ASSERT(shown.written().find("A\x1b[J") == std::string::npos);
    }

    void testAFailureLeavesItsReasonAndItsLog()
    {
        service({"echo fine", "echo make: no rule >&2; exit 7", "true", "true"});
        TerminalProgram shown(follow(), environment(), 24, 80);
        CPPUNIT_ASSERT_EQUAL(1, shown.end());
        const auto lines = shown.screen.lines();
        CPPUNIT_ASSERT_EQUAL_MESSAGE(shown.screen.text(), std::size_t{8}, lines.size());
        assertStarts(lines, 3, "CODE_QUALITY  Failed ");
        CPPUNIT_ASSERT_MESSAGE(lines[3], lines[3].find("EXIT 7") != std::string::npos);
        assertStarts(lines, 4, "UNIT_TEST     Waiting");
        assertStarts(lines, 7, "make: no rule");
        assertLeftAsItWas(shown);
    }

    void testAnotherSizeIsTakenUp()
    {
        service({"echo " + std::string(150, 'x') + "; seq 100; echo " + std::string(150, 'y') +
                     "; " + gate(),
                 "true", "true", "true"});
        TerminalProgram shown(follow(), environment(), 24, 80);
        shown.untilShown(std::string(78, 'y') + "…");
        shown.resize(16, 60);
        shown.untilShown("\n" + std::string(58, 'y') + "…\n");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(shown.screen.text(), std::size_t{15},
                                     shown.screen.lines().size());
        shown.resize(40, 120);
        shown.untilShown("\n" + std::string(118, 'y') + "…\n");
        const auto lines = shown.screen.lines();
        CPPUNIT_ASSERT_EQUAL_MESSAGE(shown.screen.text(), std::ptrdiff_t{1},
                                     std::count_if(lines.begin(), lines.end(),
                                                   [](const std::string& line)
                                                   { return line.starts_with("STAGE "); }));
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, shown.screen.wrapped());
        open();
        CPPUNIT_ASSERT_EQUAL(0, shown.end());
    }

    void testInterruptLeavesTheTerminalAsItWasAndTheRunGoing()
    {
        service({"printf '\\033[31mred'; " + gate(), "true", "true", "true"});
        TerminalProgram shown(follow(), environment(), 24, 80);
        shown.untilShown("\nred\n");
        shown.type("\x03");
        CPPUNIT_ASSERT_EQUAL(130, shown.end());
        assertLeftAsItWas(shown);
        const std::string said = shown.screen.text();
        const std::string mark = "stagectl: the run goes on: stagectl stages ";
        const auto at = said.find("\n" + mark);
        CPPUNIT_ASSERT_MESSAGE(said, at != std::string::npos);
        const std::string run = said.substr(at + 1 + mark.size(), 36);
        CPPUNIT_ASSERT_MESSAGE(said, said.find("\nstagectl:   to end it: stagectl stop " + run) !=
                                         std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::string("IN_PROGRESS"), _daemon.statusOf(run));
        open();
        _daemon.waitForRun(run, "SUCCESS");
    }

    void testLogCanNotSteerTheTerminal()
    {
        service({"printf "
                 "'\\033]0;title\\007\\033[2J\\033[5A\\033c\\nunder\\rover\\b\\n\\033[8mhidden\\n"
                 "\\302\\2332K\\n\\033[35mpink\\033[0m\\tend\\n'; " +
                     gate(),
                 "true", "true", "true"});
        TerminalProgram shown(follow(), environment(), 24, 80);
        shown.untilShown("pink    end");
        shown.untilShown("\\x1b]0;title\\x07\\x1b[2J\\x1b[5A\\x1bc\n");
        shown.untilShown("\nover\\x08\n"); // what was drawn over is not seen
        shown.untilShown("\\x1b[8mhidden\n\\x9b2K\n");
        CPPUNIT_ASSERT_EQUAL(std::string(), shown.screen.unknown());
        CPPUNIT_ASSERT(shown.written().find("\x1b[35mpink\x1b[0m") != std::string::npos);
        open();
        CPPUNIT_ASSERT_EQUAL(0, shown.end());
    }

    void testTimeGoesOnWhileNothingIsPrinted()
    {
        service({gate(), "true", "true", "true"});
        TerminalProgram shown(follow(), environment(), 24, 80);
        shown.untilShown("PREPARE       Running  1s");
        shown.untilShown("PREPARE       Running  2s");
        open();
        CPPUNIT_ASSERT_EQUAL(0, shown.end());
    }

    void testNoColoursWhereNoneAreWanted()
    {
        service({"printf '\\033[31mred\\033[0m\\n'; " + gate(), "true", "true", "true"});
        auto variables = environment();
        variables.emplace_back("NO_COLOR=1");
        TerminalProgram shown(follow(), variables, 24, 80);
        shown.untilShown("\nred\n");
        open();
        CPPUNIT_ASSERT_EQUAL(0, shown.end());
        for (const char* colour : {"\x1b[31m", "\x1b[32m", "\x1b[36m", "\x1b[2m"})
            CPPUNIT_ASSERT(shown.written().find(colour) == std::string::npos);
    }

private:
    static void assertStarts(const std::vector<std::string>& lines, std::size_t line,
                             const std::string& begin)
    {
        std::string all;
        for (const auto& each : lines)
            all += each + "\n";
        CPPUNIT_ASSERT_MESSAGE("line " + std::to_string(line) + " is not '" + begin + "':\n" + all,
                               line < lines.size() && lines[line].starts_with(begin));
    }

    static void assertLeftAsItWas(const TerminalProgram& shown)
    {
        CPPUNIT_ASSERT(shown.screen.cursorShown());
        CPPUNIT_ASSERT(!shown.screen.coloured());
        CPPUNIT_ASSERT_EQUAL(std::string(), shown.screen.unknown());
    }

    /// Of four stages with these commands.
    void service(const std::vector<std::string>& commands)
    {
        const char* const types[] = {"PREPARE", "CODE_QUALITY", "UNIT_TEST", "BUILD"};
        std::string yaml = "name: four\nstages:\n";
        for (std::size_t i = 0; i < commands.size(); ++i)
            yaml += std::string("  - type: ") + types[i] +
                    "\n    plugin: shell\n    with:\n      command: |\n        " + commands[i] +
                    "\n";
        _daemon.writeService("four", yaml);
        _daemon.signal(SIGHUP);
        agent::test::waitFor("the service",
                             [&] { return _daemon.get("/api/services/four").status == 200; });
    }

    [[nodiscard]] std::string gate() const
    {
        return "until test -e " + (_daemon.folder() / "go").string() + "; do sleep 0.02; done";
    }
    void open() const { std::ofstream(_daemon.folder() / "go") << ""; }

    static std::vector<std::string> follow()
    {
        return {STAGE_AGENT_BIN_DIR "/stagectl", "run", "four", "--follow"};
    }
    [[nodiscard]] std::vector<std::string> environment() const
    {
        return {"STAGE_AGENT_URL=" + _daemon.url(), "HOME=" + _daemon.folder().string(),
                "TERM=xterm-256color"};
    }

    Daemon _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(LiveViewTest);
