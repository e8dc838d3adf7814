#include "agent/api/JsonArray.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>

namespace agent
{

class JsonArrayTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(JsonArrayTest);
    CPPUNIT_TEST(testShortArraysAreSentWhole);
    CPPUNIT_TEST(testLongArraysComeInPagesThatAreNeverHeldTogether);
    CPPUNIT_TEST(testRowsAreFetchedBehindTheLastOne);
    CPPUNIT_TEST_SUITE_END();

public:
    void testShortArraysAreSentWhole()
    {
        CPPUNIT_ASSERT_EQUAL(std::string("[]"), arrayOf(numbers(0, 1)).body);
        CPPUNIT_ASSERT_EQUAL(std::string("[1]"), arrayOf(numbers(1, 1)).body);
        const Response three = arrayOf(numbers(3, 1));
        CPPUNIT_ASSERT_EQUAL(std::string("[1,2,3]"), three.body);
        CPPUNIT_ASSERT(!three.pages);
    }

    void testLongArraysComeInPagesThatAreNeverHeldTogether()
    {
        for (const std::size_t size : {1, 10'000, 65'530, 65'536, 180'000})
        {
            std::string expected;
            const int count = static_cast<int>(1'000'000 / size) + 2;
            for (auto next = numbers(count, size); const auto element = next();)
                expected += (expected.empty() ? "[" : ",") + *element;
            const Response response = arrayOf(numbers(count, size));
            CPPUNIT_ASSERT(response.pages && response.body.empty());
            std::string all;
            for (bool more = true; more;)
            {
                std::string page;
                more = response.pages->next(page);
                CPPUNIT_ASSERT(!page.empty() && page.size() <= 262'144);
                all += page;
            }
            CPPUNIT_ASSERT(expected + "]" == all);
        }
    }

    void testRowsAreFetchedBehindTheLastOne()
    {
        std::string asked;
        const auto next = elementsOf<int>(
            [&](const int* last) -> std::vector<int>
            {
                asked += last ? std::to_string(*last) + " " : "first ";
                const int from = last ? *last : 0;
                return from >= 4 ? std::vector<int>{} : std::vector<int>{from + 1, from + 2};
            },
            [](const int& row) { return std::to_string(row); });
        CPPUNIT_ASSERT_EQUAL(std::string("[1,2,3,4]"), arrayOf(next).body);
        CPPUNIT_ASSERT_EQUAL(std::string("first 2 4 "), asked);
        CPPUNIT_ASSERT_EQUAL(std::string("[7,8]"),
                             arrayOf(elementsOf<int>(std::vector{7, 8}, [](const int& row)
                                                     { return std::to_string(row); }))
                                 .body);
    }

private:
    /// `count` numbers, each padded to `size` bytes.
    static JsonElements numbers(int count, std::size_t size)
    {
        return [count, size, at = 0]() mutable -> std::optional<std::string>
        {
            if (at == count)
                return std::nullopt;
            std::string number = std::to_string(++at);
            number.insert(0, std::max(size, number.size()) - number.size(), ' ');
            return number;
        };
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(JsonArrayTest);

} // namespace agent
