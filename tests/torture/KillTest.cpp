// kill -9 of the daemon at random points, two slots, mixed stages.
#include "tests/torture/Trial.h"

#include <cppunit/extensions/HelperMacros.h>

using agent::test::anyPlans;
using agent::test::Daemon;
using agent::test::Rounds;
using agent::test::Trial;

class KillTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(KillTest);
    CPPUNIT_TEST(testNothingIsLostOrDoubledOverKills);
    CPPUNIT_TEST_SUITE_END();

public:
    void testNothingIsLostOrDoubledOverKills()
    {
        Daemon daemon;
        daemon.set("executor.slots", "2");
        daemon.start();
        Trial trial(daemon);
        Rounds rounds(20);
        rounds.play(
            [&]
            {
                for (int i = rounds.pick(1, 3); i > 0; --i)
                    trial.submit(anyPlans(rounds, 3));
                for (int kills = rounds.pick(1, 3); kills > 0; --kills)
                {
                    rounds.pause(300);
                    daemon.kill();
                    if (rounds.chance(30))
                        rounds.pause(300);
                    daemon.start();
                }
                trial.waitUntilOver();
                daemon.kill();
                trial.verify(Trial::Shims::Safe);
                daemon.start();
            });
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(KillTest);
