#include "agent/model/GramTable.h"

#include <cppunit/extensions/HelperMacros.h>

#include <random>
#include <string>

namespace
{

using agent::GramBytes;
using agent::GramTable;

/// The contract in its plainest form: one position after the other.
std::size_t plainFind(const GramTable& table, const std::string& text, std::size_t at, bool fours,
                      bool eights)
{
    while (at + 8 <= text.size() && !(fours && table.mayHave(GramBytes<4>(text.data() + at))) &&
           !(eights && table.mayHave(GramBytes<8>(text.data() + at))))
        at += GramTable::stride;
    return at;
}

} // namespace

class GramTableTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(GramTableTest);
    CPPUNIT_TEST(testHasWhatWasAdded);
    CPPUNIT_TEST(testHasLittleElse);
    CPPUNIT_TEST(testManyAtOnceFindWhatOneByOneDoes);
    CPPUNIT_TEST_SUITE_END();

    std::mt19937 _random{7}; // NOLINT(bugprone-random-generator-seed)

    std::string randomText(std::size_t size, unsigned values)
    {
        std::string text;
        while (text.size() < size)
            text += static_cast<char>(_random() % values);
        return text;
    }

    template <std::size_t Gram> GramTable tableOf(const std::string& grams)
    {
        GramTable table;
        table.reserve(grams.size() / Gram);
        for (std::size_t at = 0; at + Gram <= grams.size(); at += Gram)
            table.add(GramBytes<Gram>(grams.data() + at));
        return table;
    }

    void testHasWhatWasAdded()
    {
        const std::string grams = randomText(80000, 256);
        const GramTable fours = tableOf<4>(grams);
        const GramTable eights = tableOf<8>(grams);
        for (std::size_t at = 0; at < grams.size(); at += 4)
            CPPUNIT_ASSERT(fours.mayHave(GramBytes<4>(grams.data() + at)));
        for (std::size_t at = 0; at < grams.size(); at += 8)
            CPPUNIT_ASSERT(eights.mayHave(GramBytes<8>(grams.data() + at)));
    }

    void testHasLittleElse()
    {
        const GramTable table = tableOf<8>(randomText(800000, 256));
        const std::string others = randomText(800000, 256);
        std::size_t wrong = 0;
        for (std::size_t at = 0; at < others.size(); at += 8)
            wrong += table.mayHave(GramBytes<8>(others.data() + at)) ? 1 : 0;
        CPPUNIT_ASSERT_MESSAGE(std::to_string(wrong) + " of 100000", wrong < 2000);
    }

    void testManyAtOnceFindWhatOneByOneDoes()
    {
        for (int round = 0; round < 50; ++round)
        {
            const std::string text = randomText(200, 8);
            const std::string few = randomText(24, 8) + text.substr(_random() % 100, 8);
            const GramTable fours = tableOf<4>(few);
            const GramTable eights = tableOf<8>(few);
            GramTable both = eights;
            both.add(GramBytes<4>(few.data() + _random() % 20));
            for (std::size_t size = 0; size <= text.size(); size += 1 + _random() % 5)
                for (std::size_t at = 0; at <= size + 4; ++at)
                {
                    const std::string part = text.substr(0, size);
                    CPPUNIT_ASSERT_EQUAL(plainFind(fours, part, at, true, false),
                                         fours.find(part, at));
                    CPPUNIT_ASSERT_EQUAL(plainFind(eights, part, at, false, true),
                                         eights.find(part, at));
                    CPPUNIT_ASSERT_EQUAL(plainFind(both, part, at, true, true),
                                         both.find(part, at));
                }
        }
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(GramTableTest);
