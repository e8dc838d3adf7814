// kill -9 of the daemon at random points, 2 slots, mixed stages; after each round a checker compares the
// record with what the stages did, told by files outside the agent's reach.
//   STAGE_AGENT_TORTURE_ROUNDS (default 20), STAGE_AGENT_TORTURE_SEED (default: from the clock; printed)
#include "tests/support/Daemon.h"

#include <cppunit/extensions/HelperMacros.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <random>
#include <thread>

using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::waitFor;

namespace
{

/// A stage with the end that it must have.
struct Planned
{
    std::string command;
    std::string status;
    std::string cause;
    std::string exitCode;
    int lines = 0; ///< of its log, numbered from 1
};

std::uint64_t fromEnvironment(const char* name, std::uint64_t byDefault)
{
    const char* text = std::getenv(name);
    return text && *text ? std::strtoull(text, nullptr, 10) : byDefault;
}

} // namespace

class KillTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(KillTest);
    CPPUNIT_TEST(testNothingIsLostOrDoubledOverKills);
    CPPUNIT_TEST_SUITE_END();

public:
    void testNothingIsLostOrDoubledOverKills()
    {
        const auto clock = static_cast<std::uint64_t>(
            std::chrono::system_clock::now().time_since_epoch().count() % 1'000'000);
        _seed = fromEnvironment("STAGE_AGENT_TORTURE_SEED", clock);
        const auto rounds = fromEnvironment("STAGE_AGENT_TORTURE_ROUNDS", 20);
        _random.seed(_seed);
        std::cout << " (seed " << _seed << ", " << rounds << " rounds) " << std::flush;
        _daemon.set("executor.slots", "2");
        _daemon.start();
        for (std::uint64_t round = 0; round < rounds; ++round)
        {
            _round = round;
            playRound();
        }
    }

private:
    int pick(int least, int most)
    {
        return std::uniform_int_distribution<int>(least, most)(_random);
    }

    Planned plan()
    {
        switch (pick(0, 5))
        {
        case 0:
            return {"exit 0", "SUCCESS", "EXIT", "0"};
        case 1:
            return {"sleep 0." + std::to_string(pick(1, 5)), "SUCCESS", "EXIT", "0"};
        case 2:
            return {"i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo $i; done; sleep 0.1", "SUCCESS",
                    "EXIT", "0", 300};
        case 3:
            return {"setsid sleep 0.3 & echo 1", "SUCCESS", "EXIT", "0", 1};
        case 4:
        {
            const std::string code = std::to_string(pick(1, 100));
            return {"sleep 0.1; exit " + code, "FAILURE", "EXIT", code};
        }
        default:
            return {"sleep 0.1; kill -9 $$", "FAILURE", "SIGNAL", "null"};
        }
    }

    void playRound()
    {
        std::vector<std::vector<Planned>> plans;
        std::vector<std::string> runs;
        for (int run = 0; run < 2; ++run)
        {
            auto& stages = plans.emplace_back();
            std::string json;
            for (int i = 0; i < 3; ++i)
            {
                stages.push_back(plan());
                json += (json.empty() ? "[" : ",") +
                        std::string(
                            R"({"type":"OTHER","plugin":"shell","with":{"command":"echo x >> )") +
                        counter(run, i) + "; " + stages.back().command + R"("}})";
            }
            runs.push_back(_daemon.submit(json + "]"));
        }
        for (int kills = pick(1, 3); kills > 0; --kills)
        {
            std::this_thread::sleep_for(std::chrono::microseconds(pick(0, 400'000)));
            _daemon.kill();
            if (pick(0, 2) == 0)
                std::this_thread::sleep_for(std::chrono::microseconds(pick(0, 300'000)));
            _daemon.start();
        }
        for (std::size_t run = 0; run < runs.size(); ++run)
            check(static_cast<int>(run), runs[run], plans[run]);
    }

    [[nodiscard]] std::string counter(int run, int stage) const
    {
        return (_daemon.folder() / ("did-" + std::to_string(_round) + "-" + std::to_string(run) +
                                    "-" + std::to_string(stage)))
            .string();
    }

    void check(int number, const std::string& run, const std::vector<Planned>& plans)
    {
        waitFor(place(number, 0) + ": the run's end",
                [&]
                {
                    const std::string status = _daemon.statusOf(run);
                    return status == "SUCCESS" || status == "FAILURE";
                });
        const auto ids = _daemon.stagesOf(run);
        bool failed = false;
        std::string lastEnd;
        for (int i = 0; i < static_cast<int>(plans.size()); ++i)
        {
            const Planned& planned = plans[static_cast<std::size_t>(i)];
            const std::string& id = ids[static_cast<std::size_t>(i)];
            const std::string where = place(number, i) + ": " + planned.command;
            const std::string executions = contentOf(counter(number, i));
            if (failed)
            {
                CPPUNIT_ASSERT_EQUAL_MESSAGE(where, std::string("IDLE"),
                                             _daemon.detail(id, "status"));
                CPPUNIT_ASSERT_EQUAL_MESSAGE(where, std::string(), executions);
                continue;
            }
            CPPUNIT_ASSERT_EQUAL_MESSAGE(where + " executions", std::string("x\n"), executions);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(where, planned.status, _daemon.detail(id, "status"));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(where, planned.cause, _daemon.detail(id, "cause"));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(where, planned.exitCode, _daemon.detail(id, "exitCode"));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(where, std::string("1"), _daemon.detail(id, "attempt"));
            const std::string started = _daemon.detail(id, "startedAt");
            const std::string ended = _daemon.detail(id, "endedAt");
            CPPUNIT_ASSERT_MESSAGE(where + " ends before it starts", started <= ended);
            CPPUNIT_ASSERT_MESSAGE(where + " is out of order", lastEnd <= started);
            lastEnd = ended;
            std::string log;
            for (int line = 1; line <= planned.lines; ++line)
                log += std::to_string(line) + "\n";
            CPPUNIT_ASSERT_EQUAL_MESSAGE(where + " log", log, _daemon.log(id));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(where + " processes left", 0, processesOf(id));
            failed = planned.status == "FAILURE";
        }
        CPPUNIT_ASSERT_EQUAL_MESSAGE(place(number, 0), std::string(failed ? "FAILURE" : "SUCCESS"),
                                     _daemon.statusOf(run));
    }

    [[nodiscard]] std::string place(int run, int stage) const
    {
        return "seed " + std::to_string(_seed) + ", round " + std::to_string(_round) + ", run " +
               std::to_string(run) + ", stage " + std::to_string(stage);
    }

    static int processesOf(const std::string& id)
    {
        int count = 0;
        for (const auto& entry : std::filesystem::directory_iterator("/proc"))
            if (contentOf(entry.path() / "environ").find("STAGE_ID=" + id) != std::string::npos)
                ++count;
        return count;
    }

    Daemon _daemon;
    std::mt19937_64 _random;
    std::uint64_t _seed = 0;
    std::uint64_t _round = 0;
};

CPPUNIT_TEST_SUITE_REGISTRATION(KillTest);
