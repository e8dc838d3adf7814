// Death at each place that counts: the daemon's and the shim's, every one that the sources have.
#include "tests/torture/Games.h"
#include "tests/torture/Places.h"

#include <cppunit/extensions/HelperMacros.h>

#include <csignal>
#include <iostream>
#include <set>

using agent::test::anyPlans;
using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::Game;
using agent::test::Games;
using agent::test::Places;
using agent::test::places;
using agent::test::Plan;
using agent::test::Rounds;
using agent::test::Trial;
using agent::test::waitFor;

namespace
{

namespace fs = std::filesystem;

/// Those that these games reach; KeepPlacesTest plays the others.
std::set<std::string> placesOfRuns()
{
    std::set<std::string> all = places().daemon;
    std::erase_if(all, [](const std::string& place)
                  { return place.starts_with("cache.") || place.starts_with("artifacts."); });
    return all;
}

} // namespace

class FailpointTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(FailpointTest);
    CPPUNIT_TEST(testReleasedProgramsHaveNoFailpoint);
    CPPUNIT_TEST(testEachPlaceIsCompiledIn);
    CPPUNIT_TEST(testDaemonMayDieAtEachPlace);
    CPPUNIT_TEST(testShimMayDieAtEachPlace);
    CPPUNIT_TEST(testShimMayFailAtEachPlace);
    CPPUNIT_TEST_SUITE_END();

public:
    void testReleasedProgramsHaveNoFailpoint()
    {
        for (const char* program : {"stage-agent", "stage-shim", "stage-cache", "stage-collector"})
        {
            const std::string released = contentOf(fs::path(STAGE_AGENT_BIN_DIR) / program);
            const std::string ours = contentOf(fs::path(STAGE_AGENT_FAILPOINT_DIR) / program);
            for (const char* trace : {"STAGE_AGENT_FAILPOINT", "STAGE_AGENT_CALL_LOG",
                                      "STAGE_AGENT_CLOCK_SHIFT", "N5agent9Failpoint"})
                CPPUNIT_ASSERT_MESSAGE(std::string(program) + " has " + trace,
                                       released.find(trace) == std::string::npos);
            CPPUNIT_ASSERT(ours.find("STAGE_AGENT_FAILPOINT") != std::string::npos);
        }
    }

    /// A file whose failpoints Torture.cmake does not know would be passed by in silence.
    void testEachPlaceIsCompiledIn()
    {
        const std::string daemon = contentOf(fs::path(STAGE_AGENT_FAILPOINT_DIR) / "stage-agent");
        const std::string shim = contentOf(fs::path(STAGE_AGENT_FAILPOINT_DIR) / "stage-shim");
        const Places all = places();
        CPPUNIT_ASSERT(all.daemon.size() > 15 && all.shim.size() > 10 && !all.errors.empty());
        for (const auto& place : all.daemon)
            CPPUNIT_ASSERT_MESSAGE(place, daemon.find(place) != std::string::npos);
        const std::string cache = contentOf(fs::path(STAGE_AGENT_FAILPOINT_DIR) / "stage-cache");
        for (const auto& place : all.cache)
            CPPUNIT_ASSERT_MESSAGE(place, cache.find(place) != std::string::npos);
        const std::string collector =
            contentOf(fs::path(STAGE_AGENT_FAILPOINT_DIR) / "stage-collector");
        for (const auto& place : all.collector)
            CPPUNIT_ASSERT_MESSAGE(place, collector.find(place) != std::string::npos);
        for (const auto& list : {all.shim, all.errors})
            for (const auto& place : list)
                CPPUNIT_ASSERT_MESSAGE(place, shim.find(place) != std::string::npos);
    }

    void testDaemonMayDieAtEachPlace()
    {
        Games games(begin);
        std::set<std::string> died;
        Rounds rounds(1);
        rounds.play(
            [&]
            {
                std::vector<std::string> failpoints;
                for (const auto& place : placesOfRuns())
                    if (!rounds.slice() || rounds.chance(25))
                        failpoints.push_back(place + ":kill@" +
                                             std::to_string(rounds.pick(1, often(place))));
                games.play(failpoints,
                           {[&](Game& game)
                            {
                                game.daemon.setEnvironment("STAGE_AGENT_FAILPOINT", game.failpoint);
                                game.started = game.daemon.tryStart();
                                game.daemon.setEnvironment("STAGE_AGENT_FAILPOINT", "");
                                if (!game.started)
                                    return;
                                game.trial.submit(anyPlans(rounds, 2));
                                game.trial.submit({stopped(rounds), Plan{.command = "true"}});
                            },
                            [&](Game& game)
                            {
                                if (game.started)
                                    harass(game.daemon, game.trial);
                                if (game.daemon.alive())
                                    game.daemon.kill();
                                else
                                    died.insert(game.failpoint.substr(0, game.failpoint.find(':')));
                                game.daemon.start();
                                game.trial.submitOpen();
                            },
                            [](Game& game)
                            {
                                game.trial.waitUntilOver();
                                game.daemon.kill();
                                game.trial.verify(Trial::Shims::Safe);
                            }});
            });
        if (!rounds.slice())
            tellReached(died, placesOfRuns());
    }

    void testShimMayDieAtEachPlace()
    {
        Games games(begin);
        Rounds rounds(1);
        rounds.play(
            [&]
            {
                std::vector<std::string> failpoints;
                for (const auto& place : places().shim)
                    failpoints.push_back(
                        place + ":kill@" +
                        std::to_string(place == "shim.reap" ? rounds.pick(1, 4) : 1));
                harm(games, failpoints, rounds);
            });
    }

    void testShimMayFailAtEachPlace()
    {
        Games games(begin);
        Rounds rounds(1);
        rounds.play(
            [&]
            {
                std::vector<std::string> failpoints;
                for (const auto& place : places().errors)
                    failpoints.push_back(place + ":errno=28@1");
                harm(games, failpoints, rounds);
            });
    }

private:
    static void begin(Daemon& daemon)
    {
        daemon.setPrograms(STAGE_AGENT_FAILPOINT_DIR);
        daemon.set("executor.slots", "2");
    }

    /// How often a place is surely reached in a game.
    static int often(const std::string& place)
    {
        if (place == "commit" || place == "committed" || place == "effect")
            return 10;
        const bool eachStage =
            place.starts_with("launch.") || place.starts_with("reap") || place == "forget";
        return eachStage ? 3 : 1;
    }

    /// A stage that ends by its time limit, and hard: so that each of the shim's signals is sent.
    static Plan stopped(Rounds& rounds)
    {
        return {.command = rounds.chance(50) ? "sleep 30" : "setsid sleep 30 & sleep 30",
                .status = "FAILURE",
                .cause = "TIMEOUT",
                .exitCode = -1,
                .says = false,
                .options = R"(,"timeout":"600ms","grace":"200ms")"};
    }

    /// Makes the daemon do what it does seldom, until it is dead or the runs are over.
    static void harass(Daemon& daemon, const Trial& trial)
    {
        const auto quietly = [&](const std::function<void()>& action)
        {
            try
            {
                action();
            }
            catch (const std::exception&)
            {
                // It died of it, which is what we want to see.
            }
        };
        bool over = false;
        quietly(
            [&]
            {
                const std::string sleeping =
                    R"([{"type":"OTHER","plugin":"shell","with":{"command":"sleep 2"}}])";
                const auto shimOf = [&](const std::string& run)
                {
                    int shim = 0;
                    waitFor("a shim",
                            [&]
                            {
                                CPPUNIT_ASSERT(daemon.alive());
                                return (shim = trial.shimOf(run)) != 0;
                            });
                    return shim;
                };
                ::kill(shimOf(daemon.submit(sleeping)), SIGKILL);
                const auto gone = daemon.submit(sleeping);
                shimOf(gone);
                daemon.post("/api/runs/" + gone + "/stop");
                daemon.request("DELETE", "/api/runs/" + gone);
            });
        waitFor("the daemon's death or the runs' end",
                [&]
                {
                    quietly([&] { over = daemon.alive() && trial.over(); });
                    return over || !daemon.alive();
                });
    }

    /// Daemons whose shims, each of them, are met by the failpoint.
    static void harm(Games& games, const std::vector<std::string>& failpoints, Rounds& rounds)
    {
        games.play(failpoints, {[&](Game& game)
                                {
                                    game.daemon.setEnvironment("STAGE_AGENT_FAILPOINT",
                                                               game.failpoint);
                                    game.daemon.start();
                                    for (int i = 0; i < 2; ++i)
                                        game.trial.submit(anyPlans(rounds, 2));
                                    game.trial.submit({stopped(rounds)});
                                    if (!rounds.chance(50))
                                        return;
                                    rounds.pause(150);
                                    game.daemon.kill();
                                    game.daemon.start();
                                },
                                [](Game& game)
                                {
                                    game.trial.waitUntilOver();
                                    game.daemon.kill();
                                    game.trial.verify(Trial::Shims::Harmed);
                                }});
    }

    static void tellReached(const std::set<std::string>& died, const std::set<std::string>& all)
    {
        std::string missed;
        for (const auto& place : all)
            if (!died.contains(place))
                missed += " " + place;
        std::cout << "(died at " << died.size() << " of " << all.size() << "; not at:" << missed
                  << ") " << std::flush;
        // A hit number may be beyond what a round reaches, and a few places need a lost shim.
        CPPUNIT_ASSERT(died.size() * 2 > all.size());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(FailpointTest);
