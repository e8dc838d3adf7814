#include "agent/model/Timestamp.h"

#include <cppunit/extensions/HelperMacros.h>

using namespace agent;

class TimestampTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(TimestampTest);
    CPPUNIT_TEST(testWritesThreeDecimalsAndZ);
    CPPUNIT_TEST(testReadsBackWhatItWrites);
    CPPUNIT_TEST(testRefusesOtherZonesAndNoDates);
    CPPUNIT_TEST(testAnOffsetIsTakenWhereItIsAllowed);
    CPPUNIT_TEST(testSecondsAreRoundedUp);
    CPPUNIT_TEST(testReadsDurationsAndSizes);
    CPPUNIT_TEST_SUITE_END();

public:
    void testWritesThreeDecimalsAndZ()
    {
        CPPUNIT_ASSERT_EQUAL(std::string("2023-03-20T17:17:13.760Z"), formatTime(1679332633760));
        CPPUNIT_ASSERT_EQUAL(std::string("1970-01-01T00:00:00.000Z"), formatTime(0));
    }

    void testReadsBackWhatItWrites()
    {
        for (const TimeMs time : {TimeMs{0}, TimeMs{1679332633760}, TimeMs{951782400001}})
            CPPUNIT_ASSERT_EQUAL(time, parseTime(formatTime(time)).value());
        CPPUNIT_ASSERT_EQUAL(TimeMs{1679332633700}, parseTime("2023-03-20T17:17:13.7Z").value());
    }

    void testRefusesOtherZonesAndNoDates()
    {
        for (const char* text :
             {"", "2023-03-20", "2023-03-20T17:17:13", "2023-03-20T17:17:13+01:00",
              "2023-02-30T00:00:00Z", "2023-03-20T24:00:00Z", "2023-03-20T17:17:13.Z",
              "1969-12-31T23:59:59Z", "2023-03-20T17:17:13Zx"})
            CPPUNIT_ASSERT_MESSAGE(text, !parseTime(text));
    }

    void testAnOffsetIsTakenWhereItIsAllowed()
    {
        const TimeMs time = parseTime("2023-03-20T17:17:13Z").value();
        for (const char* text : {"2023-03-20T19:17:13+02:00", "2023-03-20T19:17:13 02:00",
                                 "2023-03-20T14:47:13-02:30", "2023-03-20T17:17:13Z"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(text, time, parseTime(text, Zone::Any).value_or(0));
        for (const char* text :
             {"2023-03-20T17:17:13+2:00", "2023-03-20T17:17:13+24:00", "2023-03-20T17:17:13+0200",
              "2023-03-20T17:17:13", "1970-01-01T00:00:00+01:00"})
            CPPUNIT_ASSERT_MESSAGE(text, !parseTime(text, Zone::Any));
    }

    void testSecondsAreRoundedUp()
    {
        CPPUNIT_ASSERT_EQUAL(std::int64_t{0}, ceilSeconds(1000, 1000));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{1}, ceilSeconds(1000, 1001));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{1}, ceilSeconds(1000, 2000));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{2}, ceilSeconds(1000, 2001));
    }

    void testReadsDurationsAndSizes()
    {
        CPPUNIT_ASSERT_EQUAL(std::int64_t{600'000}, parseDurationMs("10m").value());
        CPPUNIT_ASSERT_EQUAL(std::int64_t{90'000}, parseDurationMs("90").value());
        CPPUNIT_ASSERT_EQUAL(std::int64_t{5'400'000}, parseDurationMs("1h30m").value());
        CPPUNIT_ASSERT_EQUAL(std::int64_t{5'400'000}, parseDurationMs("1h 30 m").value());
        CPPUNIT_ASSERT_EQUAL(std::int64_t{86'400'001}, parseDurationMs("1d1ms").value());
        for (const char* wrong :
             {"1h30", "30m1h", "1h1h", "1h30x", "h", "1h-30m", "90 90", "3000d9000d"})
            CPPUNIT_ASSERT_MESSAGE(wrong, !parseDurationMs(wrong));
        CPPUNIT_ASSERT(!parseDurationMs("-1s") && !parseDurationMs("1w") && !parseDurationMs(""));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{1} << 30, parseBytes("1 GiB").value());
        CPPUNIT_ASSERT(!parseBytes("1X") && !parseBytes("-1"));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(TimestampTest);
