// kill -9 of the shim, with the daemon there and with the daemon away, with cgroups and without.
#include "tests/support/Namespace.h"
#include "tests/torture/Trial.h"

#include <cppunit/extensions/HelperMacros.h>

#include <csignal>

using agent::test::Daemon;
using agent::test::Plan;
using agent::test::Record;
using agent::test::Rounds;
using agent::test::Trial;
using agent::test::waitFor;

class ShimKillTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(ShimKillTest);
    CPPUNIT_TEST(testLostShimIsNeverASuccessAndLeavesNothing);
    CPPUNIT_TEST(testTheSameWithoutCgroups);
    CPPUNIT_TEST_SUITE_END();

public:
    void testLostShimIsNeverASuccessAndLeavesNothing() { play(); }

    void testTheSameWithoutCgroups()
    {
        agent::test::withoutCgroups([this] { play(); });
    }

private:
    void play()
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
                    trial.submit({lasting(rounds), Plan{.command = "true"}});
                const bool away = rounds.chance(40);
                int shims[2] = {};
                for (std::size_t i = 0; i < 2; ++i)
                    waitFor("a stage to begin",
                            [&]
                            {
                                const auto run = trial.runs()[i];
                                shims[i] = trial.begun(run, 0) ? trial.shimOf(run) : 0;
                                return shims[i] != 0;
                            });
                rounds.pause(50);
                if (away)
                    daemon.kill();
                for (const int shim : shims)
                    ::kill(shim, SIGKILL);
                if (away)
                    daemon.start();
                trial.waitUntilOver();
                daemon.kill();
                const auto runs = trial.runs();
                trial.verify(Trial::Shims::Harmed);
                assertLost(daemon, runs);
                daemon.start();
            });
    }

    static Plan lasting(Rounds& rounds)
    {
        const std::vector<std::string> commands{
            "sleep 300",
            "setsid sleep 300 & sleep 300",
            "(setsid sh -c 'sleep 300 & sleep 300' &) ; sleep 300",
            "trap '' TERM; while true; do sleep 0.05; done",
            "sleep 300 | sleep 300",
            "sh -c 'kill -STOP $$' & sleep 300",
        };
        return {.command = commands[static_cast<std::size_t>(
                    rounds.pick(0, static_cast<int>(commands.size()) - 1))]};
    }

    static void assertLost(const Daemon& daemon, const std::vector<std::string>& runs)
    {
        const Record record(daemon.state(), daemon.folder() / "lost-copy.db");
        for (const auto& run : runs)
            CPPUNIT_ASSERT_EQUAL(std::string("SHIM_LOST"), record.stages(run).at(0).cause);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ShimKillTest);
