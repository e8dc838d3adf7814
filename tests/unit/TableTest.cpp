#include "agent/ctl/Table.h"

#include "agent/ctl/Text.h"
#include "tests/support/Variable.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <ctime>
#include <optional>
#include <sstream>

using agent::Variable;
using agent::ctl::clip;
using agent::ctl::displayWidth;
using agent::ctl::durationText;
using agent::ctl::durationTextMs;
using agent::ctl::localTime;
using agent::ctl::Table;
using agent::ctl::Terminal;
using agent::ctl::visible;

namespace
{

/// Sets the local zone while it lives.
class Zone
{
public:
    explicit Zone(const char* name) : _variable(std::in_place, "TZ", name) { ::tzset(); }
    ~Zone()
    {
        _variable.reset();
        ::tzset();
    }
    Zone(const Zone&) = delete;
    Zone& operator=(const Zone&) = delete;

private:
    std::optional<Variable> _variable;
};

} // namespace

class TableTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(TableTest);
    CPPUNIT_TEST(testAlignsColumnsAndEndsLinesWithoutBlanks);
    CPPUNIT_TEST(testAlignsByDisplayWidth);
    CPPUNIT_TEST(testCutsTheLastColumnToTheWidth);
    CPPUNIT_TEST(testCutsTheWidestColumnsAlike);
    CPPUNIT_TEST(testNoRowIsWiderThanTheTerminal);
    CPPUNIT_TEST(testCutsNothingInAPipe);
    CPPUNIT_TEST(testColoursOnlyStatusColumns);
    CPPUNIT_TEST(testColoursDoNotMoveColumns);
    CPPUNIT_TEST(testNoCellControlsTheTerminal);
    CPPUNIT_TEST(testMissingCellsStayEmpty);
    CPPUNIT_TEST(testEscapesControlAndBidiCharacters);
    CPPUNIT_TEST(testEscapesInvalidUtf8);
    CPPUNIT_TEST(testOrdinaryTextStays);
    CPPUNIT_TEST(testClipCountsColumns);
    CPPUNIT_TEST(testDurations);
    CPPUNIT_TEST(testLocalTimeIsShort);
    CPPUNIT_TEST_SUITE_END();

public:
    void testAlignsColumnsAndEndsLinesWithoutBlanks()
    {
        Table table({"RUN", "STATUS", "MESSAGE"});
        table.add({"1", "IDLE", "one"});
        table.add({"22222", "IN_PROGRESS", ""});
        CPPUNIT_ASSERT_EQUAL(std::string("RUN    STATUS       MESSAGE\n"
                                         "1      IDLE         one\n"
                                         "22222  IN_PROGRESS\n"),
                             table.render(Terminal{}));
    }

    void testAlignsByDisplayWidth()
    {
        Table table({"A", "B"});
        table.add({"漢字", "x"});     // two columns each
        table.add({"e\u0301é", "x"}); // a combining accent takes none
        CPPUNIT_ASSERT_EQUAL(std::string("A     B\n漢字  x\ne\u0301é    x\n"),
                             table.render(Terminal{}));
    }

    void testCutsTheWidestColumnsAlike()
    {
        Table table({"RUN", "STATUS", "SERVICE", "TIME", "MESSAGE"});
        table.add({"3f2a9c1e", "AWAITING_APPROVAL", std::string(62, 's'), "1m 23s",
                   std::string(100, 'm')});
        CPPUNIT_ASSERT_EQUAL("RUN       STATUS          SERVICE                TIME    MESSAGE\n"
                             "3f2a9c1e  Needs approval  " +
                                 std::string(20, 's') + "…  1m 23s  " + std::string(20, 'm') +
                                 "…\n",
                             table.render({.interactive = true, .width = 79}));
    }

    void testNoRowIsWiderThanTheTerminal()
    {
        Table table({"HOST", "RUN", "STATUS", "SERVICE", "CREATED", "MESSAGE"});
        table.add({"127.0.0.1:7824", "3f2a9c1e", "FAILURE", std::string(62, 's'), "Mar 20 17:17",
                   "漢字漢字漢字漢字"});
        table.add({"127.0.0.1:7825", "81d04b22", "SUCCESS", "", "12:03:04", ""});
        for (std::size_t width = 1; width < 140; ++width)
        {
            std::istringstream lines(
                table.render({.interactive = true, .colours = false, .width = width}));
            for (std::string line; std::getline(lines, line);)
                CPPUNIT_ASSERT_MESSAGE(line, displayWidth(line) <= width);
        }
        CPPUNIT_ASSERT_EQUAL(std::string("HOST            RUN      …\n"
                                         "127.0.0.1:7824  3f2a9c1e …\n"
                                         "127.0.0.1:7825  81d04b22 …\n"),
                             table.render({.interactive = true, .width = 26}));
        const std::string narrow = table.render({.interactive = true, .width = 60});
        for (const char* whole :
             {"127.0.0.1:7825", "3f2a9c1e", "Failed", "81d04b22", "Success", "12:03:04"})
            CPPUNIT_ASSERT_MESSAGE(narrow, narrow.find(whole) != std::string::npos);
    }

    void testCutsTheLastColumnToTheWidth()
    {
        Table table({"NAME", "MESSAGE"});
        table.add({"a-rather-long-name", std::string(100, 'm')});
        const std::string text = table.render({.interactive = true, .width = 40});
        std::istringstream lines(text);
        std::string line;
        while (std::getline(lines, line))
            CPPUNIT_ASSERT(displayWidth(line) <= 40);
        CPPUNIT_ASSERT_EQUAL(std::size_t{40}, displayWidth(line.empty() ? lastLine(text) : line));
        CPPUNIT_ASSERT(text.find("a-rather-long-name") != std::string::npos);
        CPPUNIT_ASSERT(text.find("m…\n") != std::string::npos);
    }

    void testCutsNothingInAPipe()
    {
        Table table({"NAME", "MESSAGE"});
        table.add({"a", std::string(500, 'm')});
        CPPUNIT_ASSERT(table.render(Terminal{}).find(std::string(500, 'm')) != std::string::npos);
    }

    void testColoursOnlyStatusColumns()
    {
        Table table({"STATUS", "MESSAGE"});
        table.add({"FAILURE", "FAILURE"});
        CPPUNIT_ASSERT_EQUAL(std::string("STATUS  MESSAGE\n\x1b[31mFailed\x1b[0m  FAILURE\n"),
                             table.render({.interactive = true, .colours = true, .width = 80}));
        CPPUNIT_ASSERT(table.render({.interactive = true, .width = 80}).find('\x1b') ==
                       std::string::npos);
    }

    void testColoursDoNotMoveColumns()
    {
        Table table({"STATUS", "TO", "X"});
        table.add({"IDLE", "SUCCESS", "x"});
        table.add({"unheard-of", "IDLE", "x"});
        std::string text = table.render({.interactive = true, .colours = true, .width = 80});
        for (std::size_t at = text.find('\x1b'); at != std::string::npos; at = text.find('\x1b'))
            text.erase(at, text.find('m', at) - at + 1);
        CPPUNIT_ASSERT_EQUAL(table.render({.interactive = true, .width = 80}), text);
    }

    void testNoCellControlsTheTerminal()
    {
        Table table({"A", "MESSAGE"});
        table.add({"\x1b[2J", "title\x1b]0;x\x07 line\nnext\r\xc2\x9b \u202e"});
        CPPUNIT_ASSERT_EQUAL(
            std::string("A        MESSAGE\n"
                        "\\x1b[2J  title\\x1b]0;x\\x07 line\\x0anext\\x0d\\x9b \\u202e\n"),
            table.render(Terminal{}));
    }

    void testMissingCellsStayEmpty()
    {
        Table table({"A", "B", "C"});
        table.add({"1"});
        table.add({"1", "2", "3", "too many"});
        CPPUNIT_ASSERT_EQUAL(std::string("A  B  C\n1\n1  2  3\n"), table.render(Terminal{}));
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, table.rows());
    }

    void testEscapesControlAndBidiCharacters()
    {
        for (int c = 0; c < 0x20; ++c)
            CPPUNIT_ASSERT_EQUAL(std::size_t{4},
                                 visible(std::string(1, static_cast<char>(c))).size());
        CPPUNIT_ASSERT_EQUAL(std::string("\\x7f"), visible("\x7f"));
        for (int c = 0x80; c < 0xA0; ++c)
            CPPUNIT_ASSERT_EQUAL(std::size_t{4},
                                 visible(std::string("\xc2") + static_cast<char>(c)).size());
        CPPUNIT_ASSERT_EQUAL(std::string("\\u202a\\u202e\\u2066\\u2069\\u200e\\u200f\\u061c"),
                             visible("\u202a\u202e\u2066\u2069\u200e\u200f\u061c"));
        CPPUNIT_ASSERT_EQUAL(std::string("\\u200b\\ufeff\\u2028\\ue0041"),
                             visible("\u200b\ufeff\u2028\U000e0041"));
    }

    void testEscapesInvalidUtf8()
    {
        CPPUNIT_ASSERT_EQUAL(std::string("\\x9b1m"), visible("\x9b"
                                                             "1m"));
        CPPUNIT_ASSERT_EQUAL(std::string("\\xc0\\xaf"), visible("\xc0\xaf"));          // overlong
        CPPUNIT_ASSERT_EQUAL(std::string("\\xe0\\x80\\xaf"), visible("\xe0\x80\xaf")); // overlong
        CPPUNIT_ASSERT_EQUAL(std::string("\\xed\\xa0\\x80"), visible("\xed\xa0\x80")); // surrogate
        CPPUNIT_ASSERT_EQUAL(std::string("\\xf4\\x90\\x80\\x80"), visible("\xf4\x90\x80\x80"));
        CPPUNIT_ASSERT_EQUAL(std::string("a\\xe2\\x82"), visible("a\xe2\x82")); // cut off
    }

    void testOrdinaryTextStays()
    {
        const std::string text = "Grüße, 漢字 👩\u200d💻 ~!\\x";
        CPPUNIT_ASSERT_EQUAL(text, visible(text));
    }

    void testClipCountsColumns()
    {
        CPPUNIT_ASSERT_EQUAL(std::string("abc"), clip("abc", 3));
        CPPUNIT_ASSERT_EQUAL(std::string("ab…"), clip("abcd", 3));
        CPPUNIT_ASSERT_EQUAL(std::string("漢…"),
                             clip("漢字体", 4)); // half a character fits nowhere
        CPPUNIT_ASSERT_EQUAL(std::string("…"), clip("abc", 1));
        CPPUNIT_ASSERT_EQUAL(std::string(""), clip("abc", 0));
    }

    void testDurations()
    {
        CPPUNIT_ASSERT_EQUAL(std::string("0s"), durationText(0));
        CPPUNIT_ASSERT_EQUAL(std::string("0s"), durationText(-5)); // the agent's clock is ahead
        CPPUNIT_ASSERT_EQUAL(std::string("59s"), durationText(59));
        CPPUNIT_ASSERT_EQUAL(std::string("1m 23s"), durationText(83));
        CPPUNIT_ASSERT_EQUAL(std::string("2h 0m 1s"), durationText(7201));
        CPPUNIT_ASSERT_EQUAL(std::string("1d 1h 1m"), durationText(86400 + 3600 + 61));
        CPPUNIT_ASSERT_EQUAL(std::string("1.250s"), durationTextMs(1250));
        CPPUNIT_ASSERT_EQUAL(std::string("1m 0s"), durationTextMs(60'000));
    }

    void testLocalTimeIsShort()
    {
        const Zone zone("UTC-2"); // POSIX writes east of Greenwich with a minus
        const auto at = [](const char* text) { return agent::parseTime(text).value(); };
        const auto then = at("2023-03-20T17:17:13.760Z");
        CPPUNIT_ASSERT_EQUAL(std::string("19:17:13"), localTime(then, at("2023-03-20T18:00:00Z")));
        CPPUNIT_ASSERT_EQUAL(std::string("2023-03-20"),
                             localTime(then, at("2024-03-20T18:00:00Z")));
        CPPUNIT_ASSERT_EQUAL(std::string("Mar 20 19:17"),
                             localTime(then, at("2023-03-21T18:00:00Z")));
    }

private:
    static std::string lastLine(const std::string& text)
    {
        const std::size_t at = text.rfind('\n', text.size() - 2);
        return text.substr(at + 1, text.size() - at - 2);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(TableTest);
