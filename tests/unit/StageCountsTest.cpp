#include "agent/run/StageCounts.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

namespace agent
{

class StageCountsTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(StageCountsTest);
    CPPUNIT_TEST(testCountsByServiceTypeAndEnd);
    CPPUNIT_TEST(testADurationIsInTheBucketOfItsBound);
    CPPUNIT_TEST(testThousandsOfServicesHaveAnEnd);
    CPPUNIT_TEST_SUITE_END();

public:
    void testCountsByServiceTypeAndEnd()
    {
        StageCounts counts;
        for (int i = 0; i < 3; ++i)
            counts.count({.type = StageType::Build, .status = Status::Success}, "payment");
        counts.count({.type = StageType::UnitTest, .cause = Cause::Oom}, "");
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, counts.ends().size());
        const StageCounts::Group payment("payment", StageType::Build);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{3},
                             counts.ends().at({payment, Status::Success, Cause::Exit}));
        CPPUNIT_ASSERT(counts.durations().empty());
    }

    void testADurationIsInTheBucketOfItsBound()
    {
        StageCounts counts;
        for (const std::int64_t ms : {0, 1000, 1001, 21'600'000, 21'600'001})
            counts.count({.durationMs = ms}, "a");
        const auto& durations = counts.durations().at({"a", StageType::Other});
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, durations.buckets[0]);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, durations.buckets[1]);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, durations.buckets[9]);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, durations.buckets[10]);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{43'202'002}, durations.totalMs);
    }

    void testThousandsOfServicesHaveAnEnd()
    {
        StageCounts counts;
        for (int i = 0; i < 5000; ++i)
            counts.count({.durationMs = 1}, "service" + std::to_string(i));
        CPPUNIT_ASSERT_EQUAL(std::size_t{101}, counts.durations().size());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{4900},
                             counts.durations().at({"other", StageType::Other}).buckets[0]);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(StageCountsTest);

} // namespace agent
