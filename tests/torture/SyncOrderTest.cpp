// What must be on disk before what. A killed process loses no write that the kernel has, so no kill
// shows a missing fsync: the programs with failpoints tell each call, and the order is looked at.
#include "tests/support/Daemon.h"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <sstream>

using agent::test::contentOf;
using agent::test::Daemon;
using agent::test::waitFor;

class SyncOrderTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(SyncOrderTest);
    CPPUNIT_TEST(testOrderIsOnDiskBeforeTheShimStarts);
    CPPUNIT_TEST(testNewFoldersAreOnDiskBeforeTheShimStarts);
    CPPUNIT_TEST(testClaimIsOnDiskBeforeTheCommandStarts);
    CPPUNIT_TEST(testLogIsOnDiskBeforeTheOutcome);
    CPPUNIT_TEST(testOutcomeIsOnDiskBeforeItShows);
    CPPUNIT_TEST(testStartIsCommittedBeforeTheLaunch);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override
    {
        const auto log = _daemon.folder() / "calls";
        _daemon.setPrograms(STAGE_AGENT_FAILPOINT_DIR);
        _daemon.setEnvironment("STAGE_AGENT_CALL_LOG", log.string());
        _daemon.start();
        std::filesystem::remove(log);
        const auto run = _daemon.submit(
            R"([{"type":"BUILD","plugin":"shell","with":{"command":"echo 1; sleep 0.1; echo 2"}}])");
        _daemon.waitForRun(run, "SUCCESS");
        waitFor("the shim's last word", [&]
                { return contentOf(log).find("point shim.outcome.done") != std::string::npos; });
        _daemon.kill();
        const std::string folder = (_daemon.state() / "runs" / run.substr(0, 2) / run).string();
        std::istringstream lines(contentOf(log));
        for (std::string line; std::getline(lines, line);)
        {
            if (const auto at = line.find(folder); at != std::string::npos)
                line.replace(at, folder.size(), "RUN");
            _calls.push_back(line);
        }
    }

    void testOrderIsOnDiskBeforeTheShimStarts()
    {
        assertSequence({"point launch.order.written", "fsync RUN/0-BUILD/1/order.json.new",
                        "rename RUN/0-BUILD/1/order.json", "fsync RUN/0-BUILD/1",
                        "point launch.spawn"});
    }

    void testNewFoldersAreOnDiskBeforeTheShimStarts()
    {
        assertSequence({"point launch.folder", "fsync RUN", "point launch.folder",
                        "fsync RUN/0-BUILD", "point launch.spawn"});
    }

    void testClaimIsOnDiskBeforeTheCommandStarts()
    {
        assertSequence({"pwrite RUN/0-BUILD/1/shim.lock", "fsync RUN/0-BUILD/1/shim.lock",
                        "fsync RUN/0-BUILD/1", "point shim.fork.before"});
    }

    void testLogIsOnDiskBeforeTheOutcome()
    {
        assertSequence({"point shim.log.sync", "fdatasync RUN/0-BUILD/1/log",
                        "fdatasync RUN/0-BUILD/1/log.idx", "point shim.outcome.write"});
    }

    void testOutcomeIsOnDiskBeforeItShows()
    {
        assertSequence({"pwrite RUN/0-BUILD/1/outcome.json.tmp",
                        "fsync RUN/0-BUILD/1/outcome.json.tmp", "rename RUN/0-BUILD/1/outcome.json",
                        "fsync RUN/0-BUILD/1"});
    }

    void testStartIsCommittedBeforeTheLaunch()
    {
        assertSequence({"point commit", "point committed", "point effect", "point launch.locked"});
    }

private:
    /// These lines stand in the log in this order; others may stand between them.
    void assertSequence(const std::vector<std::string>& wanted) const
    {
        std::string all;
        for (const auto& call : _calls)
            all.append(call).append("\n");
        auto at = _calls.begin();
        for (const auto& call : wanted)
        {
            at = std::find(at, _calls.end(), call);
            CPPUNIT_ASSERT_MESSAGE("not where it belongs: " + call + "\n" + all,
                                   at != _calls.end());
            ++at;
        }
    }

    Daemon _daemon;
    std::vector<std::string> _calls;
};

CPPUNIT_TEST_SUITE_REGISTRATION(SyncOrderTest);
