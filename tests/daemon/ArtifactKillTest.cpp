// Daemon, shim and collector killed while files are collected and removed, at moments that nobody chose: nothing torn is
// ever on record or in the store, and nothing is left over. STAGE_AGENT_TORTURE_ROUNDS: how often; 8 unless told.
#include "tests/support/Artifacts.h"
#include "tests/support/Daemon.h"

#include "agent/os/ProcessStat.h"
#include "agent/store/ArtifactSets.h"
#include "agent/store/RunStore.h"

#include <cppunit/extensions/HelperMacros.h>

#include <chrono>
#include <csignal>
#include <iostream>
#include <random>
#include <thread>

using agent::Database;
using agent::Stage;
using agent::test::Daemon;
using agent::test::waitFor;

namespace fs = std::filesystem;

class ArtifactKillTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(ArtifactKillTest);
    CPPUNIT_TEST(testNothingTornIsLeft);
    CPPUNIT_TEST_SUITE_END();

public:
    void testNothingTornIsLeft()
    {
        const char* wanted = std::getenv("STAGE_AGENT_TORTURE_ROUNDS");
        const int rounds = wanted != nullptr ? std::atoi(wanted) : 8;
        const auto seed = static_cast<unsigned>(
            std::chrono::system_clock::now().time_since_epoch().count() % 1'000'000);
        std::cout << " (seed " << seed << ", " << rounds << " rounds) " << std::flush;
        _random.seed(seed);
        _daemon.set("artifacts.keep", "2s"); // so that some are removed meanwhile
        _daemon.start();
        for (int i = 0; i < rounds; ++i)
            playRound();
        // What was lost ends, and what is over goes.
        for (const auto& run : _runs)
            waitFor("the end of " + run,
                    [&]
                    {
                        const auto status = _daemon.statusOf(run);
                        return status == "SUCCESS" || status == "FAILURE";
                    });
        waitFor(
            "the store to be empty", [&] { return agent::test::filesBelow(store()) <= 1; }, 60);
        CPPUNIT_ASSERT_EQUAL(0, _daemon.stop());
        CPPUNIT_ASSERT(fs::is_empty(store() / "trash"));
    }

private:
    /// Runs with equal and with other contents, one of which is interrupted.
    void playRound()
    {
        const std::string command =
            "mkdir dist; i=0; while [ $i -lt 60 ]; do head -c 20000 /dev/zero >dist/same$i; echo "
            "$i$$ >>dist/same$i; echo $i >dist/$i; i=$((i+1)); done; head -c 3000000 /dev/urandom "
            ">dist/large";
        for (int i = 0; i < 2; ++i)
            _runs.push_back(
                _daemon.submit(R"([{"type":"BUILD","plugin":"shell","with":{"command":")" +
                               command + R"("},"artifacts":{"paths":["dist"],"required":true}}])"));
        waitFor("a collector", [&] { return !collectors().empty() || ended(_runs.back()); });
        std::this_thread::sleep_for(std::chrono::microseconds(pick(0, 40'000)));
        const int victim = pick(1, 4);
        if (victim == 1 || victim == 4)
            for (const auto& collector : collectors())
                ::kill(collector.pid, SIGKILL);
        if (victim == 2 || victim == 4)
            for (const auto& collector : collectors())
                if (collector.ppid > 1)
                    ::kill(collector.ppid, SIGKILL);
        if (victim >= 3)
        {
            _daemon.kill();
            check();
            _daemon.start();
        }
    }

    /// What is on record is whole, and every content is what its name says.
    void check()
    {
        try
        {
            agent::test::contentsIn(store());
        }
        catch (const fs::filesystem_error&)
        {
            return; // a shim of the daemon before is at work in it
        }
        Database record(_daemon.state() / "record.db");
        agent::RunStore runs(record.writer());
        agent::ArtifactSets sets(record.writer());
        for (const auto& run : _runs)
            for (const Stage& stage : runs.stages(run))
            {
                if (stage.status == agent::Status::Success)
                    CPPUNIT_ASSERT(stage.artifactFiles == 121);
                if (!sets.has(stage.id, stage.attempt))
                    continue;
                const auto manifest = _daemon.state() / "runs" / run.substr(0, 2) / run /
                                      "0-BUILD" / std::to_string(stage.attempt) / "artifacts.jsonl";
                CPPUNIT_ASSERT_EQUAL(agent::test::sha256Of(agent::test::bytesOf(manifest)),
                                     stage.artifactManifest);
                for (const auto& [path, file] : agent::test::manifestIn(manifest))
                    CPPUNIT_ASSERT_MESSAGE(path,
                                           fs::exists(agent::test::objectOf(store(), file.digest)));
            }
    }

    [[nodiscard]] bool ended(const std::string& run) const
    {
        const auto status = _daemon.statusOf(run);
        return status == "SUCCESS" || status == "FAILURE";
    }

    /// Those of this daemon: their folder is below its state folder.
    [[nodiscard]] std::vector<agent::ProcessStat> collectors() const
    {
        std::vector<agent::ProcessStat> found;
        std::error_code error;
        for (const auto& entry : fs::directory_iterator("/proc", error))
        {
            const int pid = std::atoi(entry.path().filename().c_str());
            const auto process = pid > 0 ? agent::processStat(pid) : std::nullopt;
            if (process && process->comm == "stage-collector" &&
                agent::test::bytesOf(entry.path() / "cmdline").find(_daemon.state().string()) !=
                    std::string::npos)
                found.push_back(*process);
        }
        return found;
    }

    [[nodiscard]] fs::path store() const { return _daemon.state() / "artifacts"; }

    int pick(int least, int most)
    {
        return std::uniform_int_distribution<int>(least, most)(_random);
    }

    Daemon _daemon;
    std::vector<std::string> _runs;
    std::mt19937_64 _random;
};

CPPUNIT_TEST_SUITE_REGISTRATION(ArtifactKillTest);
