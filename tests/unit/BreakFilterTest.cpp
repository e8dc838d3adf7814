#include "agent/model/BreakFilter.h"

#include <cppunit/extensions/HelperMacros.h>

#include <random>
#include <string>

namespace
{

using agent::BreakFilter;

constexpr std::size_t most = 10;

/// Whether the filter takes the break between two texts for one that a pattern may go on over.
bool mayGoOn(const BreakFilter& filter, const std::string& before, const std::string& behind)
{
    const std::string left = "...." + before;
    const std::string right = behind + "....";
    return filter.mayGoOn(left.data() + left.size(), right.data());
}

} // namespace

class BreakFilterTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(BreakFilterTest);
    CPPUNIT_TEST(testKnowsEachSplitOfPatternsOfAllLengths);
    CPPUNIT_TEST(testKnowsABreakThatStandsForABlank);
    CPPUNIT_TEST(testKnowsSplitsBehindAKnownBeginning);
    CPPUNIT_TEST(testTellsNearlyAllOthers);
    CPPUNIT_TEST(testTellsNothingWithoutPatterns);
    CPPUNIT_TEST_SUITE_END();

    std::mt19937 _random{7}; // NOLINT(bugprone-random-generator-seed)

    std::string word(std::size_t size)
    {
        std::string text;
        while (text.size() < size)
            text += static_cast<char>('a' + _random() % 26);
        return text;
    }

    static void assertKnows(const BreakFilter& filter, const std::string& pattern)
    {
        for (std::size_t at = 1; at <= most && at < pattern.size(); ++at)
            CPPUNIT_ASSERT_MESSAGE(pattern + " at " + std::to_string(at),
                                   mayGoOn(filter, pattern.substr(0, at), pattern.substr(at)));
    }

    void testKnowsEachSplitOfPatternsOfAllLengths()
    {
        for (std::size_t size = 4; size < 40; ++size)
        {
            const std::string pattern = word(size);
            BreakFilter filter;
            filter.add(pattern, most, 0);
            assertKnows(filter, pattern);
        }
    }

    void testKnowsABreakThatStandsForABlank()
    {
        for (const std::string pattern : {"73 65 63", "a bc", "ab c", "abc d e", "7 3 6 5 6 3"})
        {
            BreakFilter filter;
            filter.add(pattern, most, 0);
            for (std::size_t at = 1; at <= most && at + 1 < pattern.size(); ++at)
                if (pattern[at] == ' ')
                    CPPUNIT_ASSERT_MESSAGE(
                        pattern, mayGoOn(filter, pattern.substr(0, at), pattern.substr(at + 1)));
        }
    }

    void testKnowsSplitsBehindAKnownBeginning()
    {
        for (std::size_t common = 0; common <= 14; ++common)
            for (std::size_t more = 0; more < 5; ++more)
            {
                const std::string first = word(18);
                const std::string second = first.substr(0, common) + '-' + word(3 + more);
                BreakFilter filter;
                filter.add(first, most, 0);
                filter.add(second, most, common);
                assertKnows(filter, first);
                assertKnows(filter, second);
            }
    }

    void testTellsNearlyAllOthers()
    {
        BreakFilter filter;
        for (int i = 0; i < 1000; ++i)
            filter.add(word(20), most, 0);
        int wrong = 0;
        for (int i = 0; i < 10000; ++i)
            wrong += mayGoOn(filter, word(10), word(10)) ? 1 : 0;
        // 10,000 of 456,976 groups of four letters are splits.
        CPPUNIT_ASSERT_MESSAGE(std::to_string(wrong), wrong < 600);
    }

    void testTellsNothingWithoutPatterns()
    {
        CPPUNIT_ASSERT(!mayGoOn(BreakFilter(), "abcd", "efgh"));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(BreakFilterTest);
