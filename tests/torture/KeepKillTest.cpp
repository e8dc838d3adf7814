// kill -9 of agent, shims, collectors and stage-cache while they collect, save, restore and evict, at moments that nobody chose:
// nothing torn is kept or restored, no SUCCESS is false, and nothing is left after the next start.
#include "tests/torture/Helpers.h"
#include "tests/torture/Keeping.h"
#include "tests/torture/Rounds.h"

#include <cppunit/extensions/HelperMacros.h>

#include <csignal>
#include <iostream>
#include <map>

using agent::test::Daemon;
using agent::test::Helper;
using agent::test::helpersOf;
using agent::test::Keeping;
using agent::test::Rounds;

class KeepKillTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(KeepKillTest);
    CPPUNIT_TEST(testNothingTornOverKills);
    CPPUNIT_TEST_SUITE_END();

public:
    void testNothingTornOverKills()
    {
        Daemon daemon;
        daemon.set("executor.slots", "2");
        daemon.set("caches.max_bytes", "2MiB"); // four archives: others are evicted
        daemon.set("workspace.keep", "1s");
        Keeping keeping(daemon);
        daemon.start();
        Rounds rounds(6);
        std::map<std::string, int> killed;
        rounds.play(
            [&]
            {
                for (int i = 0; i < 2; ++i)
                    keeping.submit(rounds.pick(0, 5));
                if (rounds.chance(50))
                    keeping.deleteBut(4);
                const Helper victim = pick(rounds);
                std::vector<agent::ProcessStat> victims;
                keeping.waitUntil("a victim, or the end",
                                  [&]
                                  {
                                      victims = helpersOf(daemon, victim);
                                      return !victims.empty() ||
                                             ((keeping.open() > 0 || keeping.over()) &&
                                              keeping.settled());
                                  });
                rounds.pause(30);
                for (const auto& process : victims)
                    killed[toString(victim)] += agent::signalProcess(process, SIGKILL) ? 1 : 0;
                if (rounds.chance(40))
                {
                    rounds.pause(40);
                    daemon.kill();
                    ++killed["agent"];
                }
                keeping.verify();
                keeping.deleteBut(6);
            });
        keeping.clear();
        for (const auto& [name, count] : killed)
            std::cout << name << " " << count << " times, " << std::flush;
    }

private:
    static Helper pick(Rounds& rounds)
    {
        constexpr Helper all[] = {Helper::Collector, Helper::Restore, Helper::Save, Helper::Shim};
        return all[rounds.pick(0, 3)];
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(KeepKillTest);
