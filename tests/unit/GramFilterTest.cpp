#include "agent/model/GramFilter.h"

#include <cppunit/extensions/HelperMacros.h>

#include <string>

namespace
{

using agent::GramFilter;
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
        assertFindsEverywhere<GramFilter<8, 4>>("swordfishes");
        assertFindsEverywhere<GramFilter<4, 4>>("swordfi");
        assertFindsEverywhere<GramFilter<4, 1>>("swor");
    }

    void testLeavesTheLastBytesUntold()
    {
        GramFilter<8, 4> filter;
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
        const TextRange range = GramFilter<4, 1>().next("some text", 2);
        CPPUNIT_ASSERT_EQUAL(std::size_t(9), range.begin);
        CPPUNIT_ASSERT_EQUAL(std::size_t(9), range.end);
    }

    void testTellsOffsetsApart()
    {
        GramFilter<8, 4> filter;
        filter.add("abcdefghijk");
        const TextRange range = filter.next("..........abcdefghijk..........", 0);
        CPPUNIT_ASSERT_EQUAL(std::size_t(10), range.begin);
        CPPUNIT_ASSERT_EQUAL(std::size_t(11), range.end);
    }

    void testFindsGramsOfAnyBytes()
    {
        assertFindsEverywhere<GramFilter<8, 4>>(std::string(11, '\xFF'));
        assertFindsEverywhere<GramFilter<8, 4>>(std::string(11, '\0'));
        assertFindsEverywhere<GramFilter<4, 1>>(std::string(4, '\xFF'));
    }

    void testFindsAllAfterItsTableGrew()
    {
        GramFilter<8, 4> filter;
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
