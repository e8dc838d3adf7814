// Clients that take all descriptors which they can get: the rest of the agent goes on.
#include "tests/support/Daemon.h"
#include "tests/support/RawClient.h"
#include "tests/support/Stages.h"

#include <cppunit/extensions/HelperMacros.h>

#include <filesystem>
#include <fstream>
#include <list>

namespace fs = std::filesystem;
using agent::test::Daemon;
using agent::test::RawClient;
using agent::test::waitFor;

class ScarceDescriptorsTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(ScarceDescriptorsTest);
    CPPUNIT_TEST(testStagesAreLaunchedWhileClientsHoldAllTheyCanGet);
    CPPUNIT_TEST_SUITE_END();

public:
    /// Symptom: with its descriptors used up by connections an agent accepts nobody and starts no stage, until
    /// somebody closes some. Bound: half of the limit is for clients.
    void testStagesAreLaunchedWhileClientsHoldAllTheyCanGet()
    {
        startWithLimit();
        std::list<RawClient> idle;
        for (int i = 0; i < 2 * limit; ++i)
        {
            idle.emplace_back(_daemon.url());
            if (i % 2 == 0) // half of them have begun a request
                idle.back().send("GET /api/runs HTTP/1.1\r\nHost: x\r\n");
        }
        CPPUNIT_ASSERT_EQUAL(200, _daemon.get("/healthz").status);
        CPPUNIT_ASSERT(descriptors() <= limit / 2 + reserve);

        const auto run = _daemon.submit("[" + agent::test::shell("echo one") + "," +
                                        agent::test::shell("echo two") + "]");
        _daemon.waitForRun(run, "SUCCESS");
        const auto stages = _daemon.stagesOf(run);
        CPPUNIT_ASSERT_EQUAL(std::string("one\n"), _daemon.log(stages[0]));
        CPPUNIT_ASSERT_EQUAL(std::string("two\n"), _daemon.log(stages[1]));
        CPPUNIT_ASSERT(descriptors() <= limit / 2 + reserve);

        idle.clear();
        waitFor("the connections are closed", [&] { return descriptors() < limit / 4; });
        CPPUNIT_ASSERT_EQUAL(200, _daemon.get("/api/runs").status);
    }

private:
    static constexpr std::ptrdiff_t limit = 256;
    static constexpr std::ptrdiff_t reserve = 64; ///< for what the agent has open itself

    void startWithLimit()
    {
        const fs::path programs = _daemon.folder() / "limited";
        fs::create_directories(programs);
        const fs::path program = programs / "stage-agent";
        std::ofstream(program) << "#!/bin/sh\nulimit -n " << limit
                               << "\nexec '" STAGE_AGENT_BIN_DIR "/stage-agent' \"$@\"\n";
        fs::permissions(program, fs::perms::owner_all);
        _daemon.setPrograms(programs);
        _daemon.start();
    }

    [[nodiscard]] std::ptrdiff_t descriptors() const
    {
        return std::distance(
            fs::directory_iterator("/proc/" + std::to_string(_daemon.pid()) + "/fd"), {});
    }

    Daemon _daemon;
};

CPPUNIT_TEST_SUITE_REGISTRATION(ScarceDescriptorsTest);
