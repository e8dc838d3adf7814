#include "agent/ctl/LogFilter.h"

#include "agent/ctl/LogTail.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <string>

using agent::ctl::lastLinesAt;
using agent::ctl::LogFilter;

namespace
{

std::string filtered(std::string_view text, LogFilter::Colours colours = LogFilter::Colours::Keep)
{
    LogFilter filter(colours);
    const std::string out = filter.filter(text);
    return out + filter.finish();
}

std::string lastLines(std::string_view text, std::size_t lines)
{
    return std::string(text.substr(lastLinesAt(text, lines)));
}

} // namespace

class LogFilterTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(LogFilterTest);
    CPPUNIT_TEST(testColoursPass);
    CPPUNIT_TEST(testEscapesOtherSequences);
    CPPUNIT_TEST(testConcealedTextIsShown);
    CPPUNIT_TEST(testResetsAnOpenColour);
    CPPUNIT_TEST(testDropsColoursOnRequest);
    CPPUNIT_TEST(testLineEndsAndTabsStay);
    CPPUNIT_TEST(testChunkBoundariesDoNotMatter);
    CPPUNIT_TEST(testUnfinishedSequenceIsShownAtTheEnd);
    CPPUNIT_TEST(testEndlessParametersAreNotHeldBack);
    CPPUNIT_TEST(testLastLines);
    CPPUNIT_TEST_SUITE_END();

public:
    void testColoursPass()
    {
        for (const char* text :
             {"\x1b[32mok\x1b[0m", "\x1b[1;4;31mx\x1b[m", "\x1b[38;5;8mgrey\x1b[0m",
              "\x1b[38;2;8;8;8mgrey\x1b[0m", "\x1b[97;107mx\x1b[0m"})
            CPPUNIT_ASSERT_EQUAL(std::string(text), filtered(text));
    }

    void testEscapesOtherSequences()
    {
        CPPUNIT_ASSERT_EQUAL(std::string("\\x1b[2J"), filtered("\x1b[2J"));
        CPPUNIT_ASSERT_EQUAL(std::string("\\x1b]52;c;aGk=\\x07"), filtered("\x1b]52;c;aGk=\x07"));
        CPPUNIT_ASSERT_EQUAL(std::string("\\x1b]8;;http://x\\x1b\\t"),
                             filtered("\x1b]8;;http://x\x1b\\t"));
        CPPUNIT_ASSERT_EQUAL(std::string("\\x1b[?25l\\x1bc\\x1b[>4m"), filtered("\x1b[?25l\x1b"
                                                                                "c\x1b[>4m"));
        CPPUNIT_ASSERT_EQUAL(std::string("\\x9b31m\\x9b\\u202e"), filtered("\xc2\x9b"
                                                                           "31m\x9b\u202e"));
        CPPUNIT_ASSERT_EQUAL(std::string("secret\\x0dshown\\x08"), filtered("secret\rshown\b"));
    }

    void testConcealedTextIsShown()
    {
        CPPUNIT_ASSERT_EQUAL(std::string("\\x1b[8mhidden"), filtered("\x1b[8mhidden"));
        CPPUNIT_ASSERT_EQUAL(std::string("\\x1b[31;8mhidden"), filtered("\x1b[31;8mhidden"));
        CPPUNIT_ASSERT_EQUAL(std::string("\\x1b[38;5;1;8mhidden"),
                             filtered("\x1b[38;5;1;8mhidden"));
    }

    void testResetsAnOpenColour()
    {
        CPPUNIT_ASSERT_EQUAL(std::string("\x1b[31mred\x1b[0m"), filtered("\x1b[31mred"));
    }

    void testDropsColoursOnRequest()
    {
        CPPUNIT_ASSERT_EQUAL(std::string("ok\\x1b[2J"),
                             filtered("\x1b[32mok\x1b[0m\x1b[2J", LogFilter::Colours::Drop));
    }

    void testLineEndsAndTabsStay()
    {
        CPPUNIT_ASSERT_EQUAL(std::string("a\tb\nc\n\nd"), filtered("a\tb\r\nc\n\nd"));
    }

    void testChunkBoundariesDoNotMatter()
    {
        const std::string text =
            "\x1b[38;5;208mé漢\x1b[0m\r\n\x1b]0;t\x07\r\x1b[8m👩\xff\xe2\x82 end\x1b[";
        const std::string whole = filtered(text);
        for (std::size_t first = 0; first <= text.size(); ++first)
            for (std::size_t second = first; second <= text.size(); ++second)
            {
                LogFilter filter(LogFilter::Colours::Keep);
                std::string out = filter.filter(text.substr(0, first));
                out += filter.filter(text.substr(first, second - first));
                out += filter.filter(text.substr(second));
                out += filter.finish();
                CPPUNIT_ASSERT_EQUAL(whole, out);
            }
    }

    void testUnfinishedSequenceIsShownAtTheEnd()
    {
        CPPUNIT_ASSERT_EQUAL(std::string("x\\x1b[31"), filtered("x\x1b[31"));
        CPPUNIT_ASSERT_EQUAL(std::string("x\\xe6\\xbc"), filtered("x\xe6\xbc"));
        CPPUNIT_ASSERT_EQUAL(std::string("x\\x0d"), filtered("x\r"));
    }

    void testEndlessParametersAreNotHeldBack()
    {
        LogFilter filter(LogFilter::Colours::Keep);
        const std::string out = filter.filter("\x1b[" + std::string(10000, '1'));
        CPPUNIT_ASSERT(out.size() > 9000);
    }

    void testLastLines()
    {
        CPPUNIT_ASSERT_EQUAL(std::string("b\nc\n"), lastLines("a\nb\nc\n", 2));
        CPPUNIT_ASSERT_EQUAL(std::string("b\nc"), lastLines("a\nb\nc", 2));
        CPPUNIT_ASSERT_EQUAL(std::string("a\nb\n"), lastLines("a\nb\n", 9));
        CPPUNIT_ASSERT_EQUAL(std::string("\n"), lastLines("a\n\n", 1));
        CPPUNIT_ASSERT_EQUAL(std::string(""), lastLines("a\nb\n", 0));
        CPPUNIT_ASSERT_EQUAL(std::string(""), lastLines("", 3));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LogFilterTest);
