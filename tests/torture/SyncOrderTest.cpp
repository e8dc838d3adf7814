// What must be on disk before what (docs/durability.md). A killed process loses no write that the kernel has, so
// no kill shows a missing or a needless sync: the programs with failpoints log each call, and the order is checked.
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
    CPPUNIT_TEST(testNothingIsSyncedBetweenAStagesEndAndTheNextOnesCommandButTheCommit);
    CPPUNIT_TEST(testClaimIsWrittenBeforeTheCommandStarts);
    CPPUNIT_TEST(testOutcomeIsWrittenBeforeItShows);
    CPPUNIT_TEST(testAnEndedAttemptIsSyncedBehindItsCommit);
    CPPUNIT_TEST(testStartIsCommittedBeforeTheLaunch);
    CPPUNIT_TEST(testAnArmedShimClaimsBehindTheCommit);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override
    {
        const auto log = _daemon.folder() / "calls";
        _daemon.setPrograms(STAGE_AGENT_FAILPOINT_DIR);
        _daemon.setEnvironment("STAGE_AGENT_CALL_LOG", log.string());
        // An armed shim that did not wait for its word would be long past its claim then.
        _daemon.setEnvironment("STAGE_AGENT_FAILPOINT", "launch.armed:sleep=300@2");
        _daemon.start();
        std::filesystem::remove(log);
        const auto run = _daemon.submit(
            R"([{"type":"BUILD","plugin":"shell","with":{"command":"echo 1; sleep 0.1; echo 2"}},)"
            R"({"type":"OTHER","plugin":"shell","with":{"command":"true"}}])");
        _daemon.waitForRun(run, "SUCCESS");
        waitFor("the sync of both attempts",
                [&]
                {
                    const std::string calls = contentOf(log);
                    const auto first = calls.find("point synced\n");
                    return first != std::string::npos &&
                           calls.find("point synced\n", first + 1) != std::string::npos;
                });
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

    void testNothingIsSyncedBetweenAStagesEndAndTheNextOnesCommandButTheCommit()
    {
        const auto ended = std::find(_calls.begin(), _calls.end(), "point reaped");
        const auto command = std::find(ended, _calls.end(), "point shim.fork.before");
        CPPUNIT_ASSERT_MESSAGE(all(), command != _calls.end());
        int commits = 0;
        for (auto call = ended; call != command; ++call)
        {
            commits += *call == "point committed" ? 1 : 0;
            CPPUNIT_ASSERT_MESSAGE(*call + "\n" + all(), call->find("sync") == std::string::npos);
        }
        CPPUNIT_ASSERT_EQUAL_MESSAGE(all(), 1, commits);
    }

    void testClaimIsWrittenBeforeTheCommandStarts()
    {
        assertSequence(
            {"point launch.spawn", "pwrite RUN/0-BUILD/1/shim.lock", "point shim.fork.before"});
    }

    void testOutcomeIsWrittenBeforeItShows()
    {
        assertSequence({"pwrite RUN/0-BUILD/1/outcome.json.tmp",
                        "rename RUN/0-BUILD/1/outcome.json", "point shim.outcome.done"});
    }

    void testAnEndedAttemptIsSyncedBehindItsCommit()
    {
        assertSequence({"point reaped", "point committed", "point sync", "syncfs RUN/0-BUILD/1",
                        "point synced"});
    }

    void testStartIsCommittedBeforeTheLaunch()
    {
        assertSequence({"point commit", "point committed", "point effect", "point launch.spawn",
                        "point shim.fork.before"});
        const auto first = [this](const std::string& call)
        { return std::find(_calls.begin(), _calls.end(), call); };
        const auto reaped = first("point reaped");
        for (const char* executed : {"point launch.spawn", "point shim.fork.before"})
        {
            CPPUNIT_ASSERT_MESSAGE(all(), first("point committed") < first(executed));
            CPPUNIT_ASSERT_MESSAGE(all(), std::find(reaped, _calls.end(), "point committed") <
                                              std::find(reaped, _calls.end(), executed));
        }
    }

    /// That of the second stage: the first one's run is new with its start.
    void testAnArmedShimClaimsBehindTheCommit()
    {
        // Arming and the commit run at the same time: either may be done first.
        assertSequence({"point reaped", "point committed", "point launch.go",
                        "pwrite RUN/1-OTHER/1/shim.lock", "point shim.fork.before"});
        assertSequence({"point reaped", "point launch.handover", "point launch.armed",
                        "point launch.go", "pwrite RUN/1-OTHER/1/shim.lock"});
    }

private:
    [[nodiscard]] std::string all() const
    {
        std::string text;
        for (const auto& call : _calls)
            text.append(call).append("\n");
        return text;
    }

    /// These lines stand in the log in this order; others may stand between them.
    void assertSequence(const std::vector<std::string>& wanted) const
    {
        auto at = _calls.begin();
        for (const auto& call : wanted)
        {
            at = std::find(at, _calls.end(), call);
            CPPUNIT_ASSERT_MESSAGE("not where it belongs: " + call + "\n" + all(),
                                   at != _calls.end());
            ++at;
        }
    }

    Daemon _daemon;
    std::vector<std::string> _calls;
};

CPPUNIT_TEST_SUITE_REGISTRATION(SyncOrderTest);
