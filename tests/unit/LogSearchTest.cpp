#include "agent/store/LogSearch.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

namespace agent
{

class LogSearchTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(LogSearchTest);
    CPPUNIT_TEST(testCaseOfAsciiLettersDoesNotCount);
    CPPUNIT_TEST(testColoursDoNotHideAMatch);
    CPPUNIT_TEST(testTextWithinASequenceIsNoMatch);
    CPPUNIT_TEST(testBrokenSequencesEndWithTheLine);
    CPPUNIT_TEST(testEmptyTextIsInEveryLine);
    CPPUNIT_TEST_SUITE_END();

public:
    void testCaseOfAsciiLettersDoesNotCount()
    {
        CPPUNIT_ASSERT(finds("eRRor", "an ERROR here"));
        CPPUNIT_ASSERT(!finds("error", "an err or"));
        CPPUNIT_ASSERT(finds("größe", "GRößE"));
    }

    void testColoursDoNotHideAMatch()
    {
        CPPUNIT_ASSERT(finds("error: 7", "\x1b[1;31merr\x1b[0mor\x1b[38;5;214m: 7"));
    }

    void testTextWithinASequenceIsNoMatch() { CPPUNIT_ASSERT(!finds("31", "\x1b[31mred\x1b[0m")); }

    void testBrokenSequencesEndWithTheLine()
    {
        for (const char* line : {"x\x1b", "x\x1b[", "x\x1b[3", "x\x1b[31;", "x\x1b]8;;"})
        {
            CPPUNIT_ASSERT(finds("x", line));
            CPPUNIT_ASSERT(!finds("y", line));
        }
    }

    void testEmptyTextIsInEveryLine()
    {
        CPPUNIT_ASSERT(finds("", ""));
        CPPUNIT_ASSERT(LogSearch("").wantsAll());
        CPPUNIT_ASSERT(!LogSearch(" ").wantsAll());
    }

private:
    static bool finds(const std::string& text, const std::string& line)
    {
        return LogSearch(text).finds(line);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LogSearchTest);

} // namespace agent
