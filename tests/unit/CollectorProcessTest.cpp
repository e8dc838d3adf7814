// The collector as a process of the shim: docs/artifacts.md, "Who does what".
#include "tests/support/Collecting.h"

#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

namespace agent
{

using test::assertCause;
using test::collectBy;
using test::prepare;
using test::ShimRun;

namespace fs = std::filesystem;

class CollectorProcessTest: public CppUnit::TestFixture
{
    CPPUNIT_TEST_SUITE(CollectorProcessTest);
    CPPUNIT_TEST(testACollectorThatFailsIsNotedOnly);
    CPPUNIT_TEST(testACollectorThatTakesTooLongIsEnded);
    CPPUNIT_TEST(testAStopEndsCollecting);
    CPPUNIT_TEST(testDiesWithItsShim);
    CPPUNIT_TEST(testNoProcessIsStartedWhereNothingIsAskedFor);
    CPPUNIT_TEST(testAStoppedStageKeepsNothing);
    CPPUNIT_TEST_SUITE_END();

public:
    void testACollectorThatFailsIsNotedOnly()
    {
        const struct
        {
            const char* script;
            const char* message;
        } cases[] = {{"kill -9 $$", "the collector failed: it was killed by signal 9"},
                     {"exit 7", "the collector failed: it exited with code 7"},
                     {"exit 0", "the collector gave no answer"},
                     {"printf '{' >&4", "the collector gave no answer"}};
        for (const auto& [script, message] : cases)
        {
            ShimRun run(false);
            prepare(run, {"**"});
            collectBy(run, script);
            run.shell("echo x >x");
            const Outcome outcome = run.run();
            CPPUNIT_ASSERT(outcome.succeeded());
            CPPUNIT_ASSERT(outcome.notes == std::vector{Cause::Artifacts});
            CPPUNIT_ASSERT_EQUAL("files: " + std::string(message), outcome.message);
        }
        ShimRun run(false);
        prepare(run, {"**"});
        run.order.collect->program = "/nowhere/stage-collector";
        run.shell("true");
        CPPUNIT_ASSERT_EQUAL(
            std::string("files: the collector could not be started: cannot execute "
                        "'/nowhere/stage-collector': No such file or directory"),
            run.run().message);
    }

    void testACollectorThatTakesTooLongIsEnded()
    {
        ShimRun run(false);
        prepare(run, {"**"});
        collectBy(run, "exec sleep 300");
        run.order.collect->timeoutMs = 100;
        run.order.collect->required = true;
        run.shell("true");
        const Outcome outcome = run.run();
        assertCause(Cause::Artifacts, outcome);
        CPPUNIT_ASSERT_EQUAL(std::string("files: collecting took longer than artifacts.timeout"),
                             outcome.message);
    }

    void testAStopEndsCollecting()
    {
        ShimRun run(false);
        prepare(run, {"**"});
        collectBy(run, "echo x >" + (run.folder() / "began").string() + "; exec sleep 300");
        run.shell("true");
        run.start();
        CPPUNIT_ASSERT(test::eventually([&] { return fs::exists(run.folder() / "began"); }));
        run.signalShim(SIGTERM);
        const Outcome outcome = run.finish();
        CPPUNIT_ASSERT(outcome.succeeded());
        CPPUNIT_ASSERT_EQUAL(
            std::string("files: the stage was stopped while its files were collected"),
            outcome.message);
    }

    void testDiesWithItsShim()
    {
        ShimRun run(false);
        prepare(run, {"**"});
        collectBy(run, "echo $$ >" + (run.folder() / "pid").string() + "; exec sleep 300");
        run.shell("true");
        run.start();
        CPPUNIT_ASSERT(test::eventually(
            [&] { return test::contentOf(run.folder() / "pid").ends_with('\n'); }));
        const int pid = std::atoi(test::contentOf(run.folder() / "pid").c_str());
        run.signalShim(SIGKILL);
        CPPUNIT_ASSERT_EQUAL(128 + SIGKILL, run.wait());
        CPPUNIT_ASSERT(test::eventually([&] { return ::kill(pid, 0) != 0; }));
    }

    void testNoProcessIsStartedWhereNothingIsAskedFor()
    {
        ShimRun run(false);
        prepare(run, {"**"});
        run.order.collect->when = RunsAfter::Failure;
        collectBy(run, "echo x >" + (run.folder() / "began").string());
        run.shell("true");
        CPPUNIT_ASSERT_EQUAL(std::string(), run.run().message);
        CPPUNIT_ASSERT(!fs::exists(run.folder() / "began"));
    }

    void testAStoppedStageKeepsNothing()
    {
        ShimRun run(false);
        prepare(run, {"**"});
        run.order.collect->when = RunsAfter::Always;
        run.shell("echo x >x; echo ready; sleep 300");
        run.start();
        CPPUNIT_ASSERT(run.logHolds("ready"));
        run.signalShim(SIGTERM);
        const Outcome outcome = run.finish();
        assertCause(Cause::Stopped, outcome);
        CPPUNIT_ASSERT(!outcome.artifacts);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(CollectorProcessTest);

} // namespace agent
