// SIGTERM and a new start while stages run, as an upgrade does it.
#include "tests/torture/Trial.h"

#include <cppunit/extensions/HelperMacros.h>

using agent::test::anyPlans;
using agent::test::Daemon;
using agent::test::Rounds;
using agent::test::Trial;

class RestartTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(RestartTest);
    CPPUNIT_TEST(testNothingIsLostOverRestarts);
    CPPUNIT_TEST_SUITE_END();

public:
    void testNothingIsLostOverRestarts()
    {
        Daemon daemon;
        daemon.set("executor.slots", "2");
        daemon.start();
        Trial trial(daemon);
        Rounds rounds(10);
        rounds.play(
            [&]
            {
                for (int i = 0; i < 2; ++i)
                    trial.submit(anyPlans(rounds, 3));
                for (int restarts = rounds.pick(1, 2); restarts > 0; --restarts)
                {
                    rounds.pause(300);
                    CPPUNIT_ASSERT_EQUAL(0, daemon.stop());
                    daemon.start();
                }
                trial.waitUntilOver();
                CPPUNIT_ASSERT_EQUAL(0, daemon.stop());
                trial.verify(Trial::Shims::Safe);
                daemon.start();
            });
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(RestartTest);
