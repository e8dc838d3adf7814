#include "agent/model/LineEnds.h"

#include <cppunit/extensions/HelperMacros.h>

#include <random>
#include <string>
#include <vector>

class LineEndsTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(LineEndsTest);
    CPPUNIT_TEST(testFindsEachEndOfTextsOfAllSizes);
    CPPUNIT_TEST(testForgetsTheTextBefore);
    CPPUNIT_TEST_SUITE_END();

    static std::vector<std::size_t> found(agent::LineEnds& ends, std::string_view text)
    {
        ends.find(text);
        return {ends.begin(), ends.end()};
    }

    static std::vector<std::size_t> plain(std::string_view text)
    {
        std::vector<std::size_t> places;
        for (std::size_t at = 0; at < text.size(); ++at)
            if (text[at] == '\n' || text[at] == '\r')
                places.push_back(at);
        return places;
    }

    void testFindsEachEndOfTextsOfAllSizes()
    {
        std::mt19937 random{7}; // NOLINT(bugprone-random-generator-seed)
        agent::LineEnds ends;
        for (const unsigned others : {0U, 1U, 20U, 200U}) // bytes between two ends, about
            for (std::size_t size = 0; size < 400; ++size)
            {
                std::string text;
                while (text.size() < size)
                    text += random() % (others + 1) == 0 ? "\n\r"[random() % 2]
                                                         : static_cast<char>(14 + random() % 242);
                CPPUNIT_ASSERT(plain(text) == found(ends, text));
            }
    }

    void testForgetsTheTextBefore()
    {
        agent::LineEnds ends;
        CPPUNIT_ASSERT_EQUAL(std::size_t(100), found(ends, std::string(100, '\n')).size());
        CPPUNIT_ASSERT(found(ends, "none").empty());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LineEndsTest);
