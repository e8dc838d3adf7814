#include "agent/run/SubmitRun.h"

#include "tests/support/EngineFixture.h"

namespace agent
{

/// `supersede`: what a new run does to older ones of its branch. docs/conditions.md.
class SupersedeTest: public EngineFixture
{
    CPPUNIT_TEST_SUITE(SupersedeTest);
    CPPUNIT_TEST(testANewRunStopsOlderOnesOfItsBranch);
    CPPUNIT_TEST(testOneThatNamesNoBranchIsOfTheServicesOwn);
    CPPUNIT_TEST(testOtherBranchesRequestsAndServicesGoOn);
    CPPUNIT_TEST(testWithoutTheKeyNothingIsStopped);
    CPPUNIT_TEST(testOneThatHasBegunToDeployGoesOn);
    CPPUNIT_TEST(testOneThatWaitsForTheApprovalOfItsDeploymentIsStopped);
    CPPUNIT_TEST(testARerunSupersedesNothing);
    CPPUNIT_TEST(testWhatIsSupersededRunsItsLastStages);
    CPPUNIT_TEST(testARunThatHasFailedIsLeftToItsLastStages);
    CPPUNIT_TEST(testARestartKeepsTheCause);
    CPPUNIT_TEST_SUITE_END();

public:
    void testANewRunStopsOlderOnesOfItsBranch()
    {
        start();
        const auto running = submit(build, {.branch = "main"});
        const auto stage = stagesOfRun(running)[0];
        waitFor([&] { return _runner.runs(stage); });
        const auto queued = stopping(submit(build, {.branch = "other"}));
        const auto newer = submit(build, {.branch = "main"});
        waitForEnd(running, Status::Failure);
        CPPUNIT_ASSERT(this->stage(stage).cause == Cause::Superseded);
        CPPUNIT_ASSERT_EQUAL("superseded by run " + newer, this->stage(stage).message);
        waitFor([&] { return _runner.runs(stagesOfRun(newer)[0]); });

        const auto waits = submit(build, {.branch = "other"});
        submit(build, {.branch = "other"});
        waitForEnd(waits, Status::Failure);
        CPPUNIT_ASSERT(run(waits).stopCause == Cause::Superseded);
        CPPUNIT_ASSERT(this->stage(stagesOfRun(waits)[0]).status == Status::Idle);
        CPPUNIT_ASSERT(run(queued).stopCause == Cause::Stopped);
    }

    void testOneThatNamesNoBranchIsOfTheServicesOwn()
    {
        start();
        const auto first = submit(build, {.branch = ""});
        const auto second = submit(build, {.branch = "main"});
        const auto third = submit(build, {.branch = ""});
        waitForEnd(first, Status::Failure);
        waitForEnd(second, Status::Failure);
        CPPUNIT_ASSERT(!run(third).ended());
    }

    void testOtherBranchesRequestsAndServicesGoOn()
    {
        start();
        const std::vector<std::string> runs{
            submit(build, {.branch = "main"}),
            submit(build, {.branch = "next"}),
            submit(build, {.branch = "main", .pull = 1}),
            submit(build, {.branch = "main", .pull = 2}),
            submit(build, {.branch = "main", .service = "shop"}),
        };
        for (const auto& id : runs)
            CPPUNIT_ASSERT(!run(id).ended());
        submit(build, {.branch = "main", .pull = 2});
        waitForEnd(runs[3], Status::Failure);
        for (const std::size_t i : {0, 1, 2, 4})
            CPPUNIT_ASSERT(!run(runs[i]).ended());
    }

    void testWithoutTheKeyNothingIsStopped()
    {
        start();
        const auto first = submit(build, {.branch = "main"});
        submit(build, {.branch = "main", .supersede = false});
        CPPUNIT_ASSERT(!run(first).ended());
    }

    void testOneThatHasBegunToDeployGoesOn()
    {
        start();
        const auto first = submit(deploy + ", " + build, {.branch = "main"});
        const auto stages = stagesOfRun(first);
        waitFor([&] { return _runner.runs(stages[0]); });
        submit(build, {.branch = "main"});
        CPPUNIT_ASSERT(stage(stages[0]).intent == Intent::None);
        endWhenItRuns(stages[0], 0);
        waitFor([&] { return _runner.runs(stages[1]); });
        submit(build, {.branch = "main"});
        endWhenItRuns(stages[1], 0);
        waitForEnd(first, Status::Success);
    }

    void testOneThatWaitsForTheApprovalOfItsDeploymentIsStopped()
    {
        start();
        const auto first = submit(gated, {.branch = "main"});
        waitFor([&] { return status(first) == Status::AwaitingApproval; });
        submit(build, {.branch = "main"});
        waitForEnd(first, Status::Failure);
        CPPUNIT_ASSERT(stage(stagesOfRun(first)[0]).cause == Cause::Superseded);
    }

    void testARerunSupersedesNothing()
    {
        start();
        const auto old = submit(build, {.branch = "main"});
        endWhenItRuns(stagesOfRun(old)[0], 0);
        waitForEnd(old, Status::Success);
        const auto running = submit(build, {.branch = "main"});
        const auto again = commands::rerun(*_engine, old, "test");
        CPPUNIT_ASSERT(!run(running).ended());
        submit(build, {.branch = "main"});
        waitForEnd(running, Status::Failure);
        waitForEnd(again, Status::Failure);
    }

    void testWhatIsSupersededRunsItsLastStages()
    {
        start();
        const auto old = submit(build + ", " + always, {.branch = "main"});
        const auto stages = stagesOfRun(old);
        waitFor([&] { return _runner.runs(stages[0]); });
        const auto newer = submit(build, {.branch = "main"});
        waitFor([&] { return _runner.runs(stages[1]); });
        CPPUNIT_ASSERT(!_runner.runs(stagesOfRun(newer)[0])); // one slot
        _runner.exit(stages[1], 0);
        waitForEnd(old, Status::Failure);
        CPPUNIT_ASSERT(stage(stages[0]).cause == Cause::Superseded);
        waitFor([&] { return _runner.runs(stagesOfRun(newer)[0]); });
    }

    void testARunThatHasFailedIsLeftToItsLastStages()
    {
        start();
        const auto old = submit(build + ", " + always, {.branch = "main"});
        const auto stages = stagesOfRun(old);
        endWhenItRuns(stages[0], 1);
        waitFor([&] { return _runner.runs(stages[1]); });
        submit(build, {.branch = "main"});
        CPPUNIT_ASSERT(stage(stages[1]).intent == Intent::None);
        _runner.exit(stages[1], 0);
        waitForEnd(old, Status::Failure);
        CPPUNIT_ASSERT(stage(stages[0]).cause == Cause::Exit);
        CPPUNIT_ASSERT(!run(old).stopCause);
    }

    /// The daemon dies between the decision and the end of the processes.
    void testARestartKeepsTheCause()
    {
        start();
        _runner.survive();
        const auto old = submit(build, {.branch = "main"});
        const auto id = stagesOfRun(old)[0];
        waitFor([&] { return _runner.runs(id); });
        submit(build, {.branch = "main"});
        CPPUNIT_ASSERT(stage(id).intent == Intent::Supersede);
        _engine.reset();
        start();
        _runner.end(id, {.cause = Cause::Stopped});
        waitForEnd(old, Status::Failure);
        CPPUNIT_ASSERT(stage(id).cause == Cause::Superseded);
    }

private:
    struct Like
    {
        std::string branch;
        std::optional<std::int64_t> pull = std::nullopt;
        std::string service = "payment";
        bool supersede = true;
    };

    const std::string build = "{type: BUILD, plugin: shell, with: {command: x}}";
    const std::string deploy = "{type: DEPLOY_STAGING, plugin: shell, with: {command: x}}";
    const std::string gated =
        "{type: DEPLOY_PROD, plugin: shell, with: {command: x}, approval: required}";
    const std::string always =
        "{type: OTHER, plugin: shell, with: {command: x}, when: {run: always}}";

    std::string submit(const std::string& stages, const Like& like)
    {
        PipelineSpec spec = pipeline("branch: main\nstages: [" + stages + "]");
        spec.supersede = like.supersede;
        return commands::submit(*_engine, {.pipeline = Pipeline(std::move(spec)),
                                           .serviceId = like.service,
                                           .serviceName = like.service,
                                           .branch = like.branch,
                                           .pullNumber = like.pull})
            .run.id;
    }

    /// Stops it at once: what a person stopped says so.
    std::string stopping(const std::string& runId)
    {
        commands::stop(*_engine, runId, "test");
        return runId;
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(SupersedeTest);

} // namespace agent
