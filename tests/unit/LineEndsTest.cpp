#include "agent/model/LineEnds.h"
#include "agent/model/WrappedText.h"

#include <cppunit/extensions/HelperMacros.h>

#include <random>
#include <set>
#include <string>
#include <vector>

class LineEndsTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(LineEndsTest);
    CPPUNIT_TEST(testFindsEachEndOfTextsOfAllSizes);
    CPPUNIT_TEST(testForgetsTheTextBefore);
    CPPUNIT_TEST(testKeepsEachEndThatBreaksWrappedText);
    CPPUNIT_TEST(testDropsEndsOfOtherLines);
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

    void testKeepsEachEndThatBreaksWrappedText()
    {
        std::mt19937 random{7}; // NOLINT(bugprone-random-generator-seed)
        agent::LineEnds ends;
        const agent::WrappedText wrapped;
        std::size_t breaks = 0;
        // A byte of any value now and then among those of encoded text.
        for (const std::string_view letters :
             {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_\n\r",
              "0123456789ABCDEFabcdef :-\n\r"})
            for (std::size_t round = 0; round < 2000; ++round)
            {
                std::string text;
                while (text.size() < 300)
                    text += random() % 100 == 0 ? static_cast<char>(random() % 256)
                                                : letters[random() % letters.size()];
                ends.find(text);
                ends.keepBreaks(text);
                const std::set<std::uint32_t> kept(ends.begin(), ends.end());
                for (const std::size_t at : plain(text))
                    if (wrapped.kindAt(text, at) != agent::WrappedText::Kind::None && ++breaks > 0)
                        CPPUNIT_ASSERT(kept.count(static_cast<std::uint32_t>(at)) == 1);
            }
        CPPUNIT_ASSERT(breaks > 100);
    }

    void testDropsEndsOfOtherLines()
    {
        agent::LineEnds ends;
        const std::string line = "[ 42%] Building CXX object agent/model/LineEnds.cpp.o\n";
        std::string text;
        while (text.size() < 100000)
            text += line;
        ends.find(text);
        const auto all = ends.end() - ends.begin();
        ends.keepBreaks(text);
        const auto kept = ends.end() - ends.begin();
        CPPUNIT_ASSERT(kept == all || kept == 0); // all: on a processor without AVX2
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LineEndsTest);
