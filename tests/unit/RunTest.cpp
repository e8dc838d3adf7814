#include "agent/model/Run.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

namespace agent
{

/// How long a run takes, whatever is done to the host's clock meanwhile.
class RunTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(RunTest);
    CPPUNIT_TEST(testAClockThatIsSetChangesNoDuration);
    CPPUNIT_TEST(testWhereNothingWasSetTheWallClockIsTheEnd);
    CPPUNIT_TEST(testOverARebootTheWallClockTells);
    CPPUNIT_TEST(testARunThatNeverBeganEndsNow);
    CPPUNIT_TEST_SUITE_END();

public:
    void testAClockThatIsSetChangesNoDuration()
    {
        const Run run = begun();
        for (const TimeMs wall : {TimeMs{5}, started - hour, started + day, started + 4'000})
            CPPUNIT_ASSERT_EQUAL(started + 5'000, run.endOf(wall, {"boot", 105'000}));
        // Not even by a clock of the kernel that goes wrong.
        CPPUNIT_ASSERT_EQUAL(started, run.endOf(started - hour, {"boot", 99'000}));
    }

    void testWhereNothingWasSetTheWallClockIsTheEnd()
    {
        const Run run = begun();
        for (const TimeMs wall : {started + 4'999, started + 5'000, started + 5'001})
            CPPUNIT_ASSERT_EQUAL(wall, run.endOf(wall, {"boot", 105'000}));
        CPPUNIT_ASSERT_EQUAL(started, run.endOf(started - 1, {"boot", 100'000}));
    }

    void testOverARebootTheWallClockTells()
    {
        Run run = begun();
        CPPUNIT_ASSERT_EQUAL(started + hour, run.endOf(started + hour, {"other", 7}));
        CPPUNIT_ASSERT_EQUAL(started, run.endOf(started - hour, {"other", 7}));
        run.beganBootId.clear(); // begun by a release before
        CPPUNIT_ASSERT_EQUAL(started + hour, run.endOf(started + hour, {"boot", 100'001}));
    }

    void testARunThatNeverBeganEndsNow()
    {
        CPPUNIT_ASSERT_EQUAL(started, Run{}.endOf(started, {"boot", 7}));
    }

private:
    static constexpr TimeMs started = 1'700'000'000'000;
    static constexpr TimeMs hour = 3'600'000;
    static constexpr TimeMs day = 24 * hour;

    static Run begun()
    {
        Run run;
        run.begin(started, {"boot", 100'000});
        return run;
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(RunTest);

} // namespace agent
