#include "tests/support/Stages.h"
#include "tests/support/Targets.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <atomic>
#include <cstdlib>
#include <iostream>
#include <random>
#include <set>

using agent::test::complete;
using agent::test::Daemon;
using agent::test::listOf;
using agent::test::Received;
using agent::test::Receiver;
using agent::test::shell;
using agent::test::takenBy;
using agent::test::waitFor;
using agent::test::writeTarget;

/// Reports over kill -9. Longer: STAGE_AGENT_OUTBOX_RUNS=1000 STAGE_AGENT_OUTBOX_KILLS=100 daemon-tests OutboxKillTest
class OutboxKillTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(OutboxKillTest);
    CPPUNIT_TEST(testEachTargetGetsEveryReportInOrder);
    CPPUNIT_TEST_SUITE_END();

public:
    /// Three targets: one that is up, one that fails three times in ten in several ways, one that is down for the
    /// first half. The daemon is killed whenever a random number of reports has come in.
    void testEachTargetGetsEveryReportInOrder()
    {
        const int runs = number("STAGE_AGENT_OUTBOX_RUNS", 40);
        const int kills = number("STAGE_AGENT_OUTBOX_KILLS", 8);
        const auto seed = static_cast<unsigned>(
            number("STAGE_AGENT_OUTBOX_SEED", static_cast<int>(std::random_device{}() >> 1U)));
        const std::string with = "seed " + std::to_string(seed);
        std::minstd_rand random(seed);
        std::atomic<unsigned> requests = seed;
        std::atomic<bool> down = true;
        Receiver up;
        Receiver flaky(
            [&](const Received&)
            {
                const auto chance = std::minstd_rand(requests++)() % 100;
                return chance < 10 ? 500 : chance < 20 ? 503 : chance < 30 ? Receiver::hangUp : 200;
            });
        Receiver late([&](const Received&) { return down ? Receiver::hangUp : 202; });
        writeTarget(_daemon, "up", up.url());
        writeTarget(_daemon, "flaky", flaky.url());
        writeTarget(_daemon, "late", late.url());
        _daemon.set("executor.slots", "4");
        _daemon.start();
        std::set<std::string> expected;
        for (int round = 0; round < kills; ++round)
        {
            if (round == kills / 2)
                down = false;
            const std::size_t before = up.all().size();
            const int more = runs / kills + (round < runs % kills ? 1 : 0);
            for (int i = 0; i < more; ++i)
                expected.insert(_daemon.submit(listOf({shell("true")})));
            const std::size_t until = before + random() % (static_cast<unsigned>(more) * 5);
            waitFor("reports, " + with, [&] { return up.all().size() >= until; });
            _daemon.kill();
            _daemon.start();
        }
        for (const Receiver* receiver : {&up, &flaky, &late})
        {
            waitFor(
                "all reports of all runs, " + with,
                [&]
                {
                    const auto taken = receiver->taken();
                    const auto by = takenBy(taken);
                    return by.size() == expected.size() && complete(by, taken);
                },
                120);
            // Those that were not confirmed came in order too.
            const auto by = takenBy(receiver->all());
            for (const auto& [run, numbers] : by)
                CPPUNIT_ASSERT_MESSAGE(run + ", " + with, expected.contains(run));
        }
        waitFor("an empty outbox, " + with,
                [&] { return _daemon.get("/api/outbox").json()["reports"].Empty(); });
        std::cout << runs << " runs, " << kills << " kills: " << up.all().size() << ", "
                  << flaky.all().size() << " and " << late.all().size() << " deliveries\n";
    }

private:
    static int number(const char* variable, int otherwise)
    {
        const char* value = std::getenv(variable);
        return value == nullptr ? otherwise : std::atoi(value);
    }

    Daemon _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(OutboxKillTest);
