#include "agent/model/GramFilter.h"

#include <cppunit/extensions/HelperMacros.h>

#include <string>

namespace
{

using agent::GramFilter;
using agent::ShortGramFilter;
using agent::TextRange;

bool holds(const TextRange& range, std::size_t position)
{
    return range.begin <= position && position < range.end;
}

} // namespace

class GramFilterTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(GramFilterTest);
    CPPUNIT_TEST(testFindsAPatternWhereverItBegins);
    CPPUNIT_TEST(testLeavesTheLastBytesUntold);
    CPPUNIT_TEST(testTellsNothingWithoutPatterns);
    CPPUNIT_TEST(testTellsOffsetsApart);
    CPPUNIT_TEST(testFindsLongAndShortPatternsTogether);
    CPPUNIT_TEST(testFindsGramsOfAnyBytes);
    CPPUNIT_TEST(testFindsAllAfterItsTableGrew);
    CPPUNIT_TEST_SUITE_END();

    template <typename Filter> static void assertFindsEverywhere(const std::string& pattern)
    {
        Filter filter;
        filter.add(pattern);
        for (std::size_t before = 0; before < 50; ++before)
            for (std::size_t from = 0; from <= before; ++from)
            {
                const std::string text = std::string(before, '.') + pattern + std::string(30, '.');
                CPPUNIT_ASSERT(holds(filter.next(text, from), before));
            }
    }

    void testFindsAPatternWhereverItBegins()
    {
        assertFindsEverywhere<GramFilter>("swordfishes");
        assertFindsEverywhere<GramFilter>("swordfi");
        assertFindsEverywhere<ShortGramFilter>("swor");
    }

    void testLeavesTheLastBytesUntold()
    {
        GramFilter filter;
        filter.add("swordfishes");
        for (std::size_t size = 0; size < 60; ++size)
        {
            const std::string text(size, '.');
            const TextRange range = filter.next(text, 0);
            CPPUNIT_ASSERT_EQUAL(size, range.end);
            CPPUNIT_ASSERT(range.begin + 10 >= size);
            CPPUNIT_ASSERT(size < 7 || range.begin + 7 <= size);
        }
    }

    void testTellsNothingWithoutPatterns()
    {
        const TextRange range = ShortGramFilter().next("some text", 2);
        CPPUNIT_ASSERT_EQUAL(std::size_t(9), range.begin);
        CPPUNIT_ASSERT_EQUAL(std::size_t(9), range.end);
    }

    void testTellsOffsetsApart()
    {
        GramFilter filter;
        filter.add("abcdefghijk");
        const TextRange range = filter.next("..........abcdefghijk..........", 0);
        CPPUNIT_ASSERT_EQUAL(std::size_t(10), range.begin);
        CPPUNIT_ASSERT_EQUAL(std::size_t(11), range.end);
    }

    void testFindsLongAndShortPatternsTogether()
    {
        GramFilter filter;
        filter.add("swordfishes");
        filter.add("wordfish"); // its grams of four are within the other's of eight
        filter.add("trumpet");
        const std::string text = "a trumpet, a swordfishes, a wordfish and no more ............";
        for (const char* pattern : {"trumpet", "swordfishes", "wordfish and"})
        {
            const std::size_t at = text.find(pattern);
            CPPUNIT_ASSERT_MESSAGE(pattern, holds(filter.next(text, at), at));
        }
        CPPUNIT_ASSERT_EQUAL(text.find("trumpet"), filter.next(text, 0).begin);
    }

    void testFindsGramsOfAnyBytes()
    {
        assertFindsEverywhere<GramFilter>(std::string(11, '\xFF'));
        assertFindsEverywhere<GramFilter>(std::string(11, '\0'));
        assertFindsEverywhere<ShortGramFilter>(std::string(4, '\xFF'));
    }

    void testFindsAllAfterItsTableGrew()
    {
        GramFilter filter;
        constexpr int patterns = 5000; // twenty times what the first table is for
        for (int i = 0; i < patterns; ++i)
            filter.add("pattern-" + std::to_string(1000000 + i * 7919));
        for (int i = 0; i < patterns; ++i)
        {
            const std::string text = "....pattern-" + std::to_string(1000000 + i * 7919);
            CPPUNIT_ASSERT(holds(filter.next(text, 0), 4));
        }
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(GramFilterTest);
