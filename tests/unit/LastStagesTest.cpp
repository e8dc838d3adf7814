#include "agent/run/RunFlow.h"

#include "agent/model/Conditions.h"
#include "tests/support/EngineFixture.h"

namespace agent
{

/// What stops and operators do to stages that run after failures: docs/conditions.md.
class LastStagesTest: public EngineFixture
{
    CPPUNIT_TEST_SUITE(LastStagesTest);
    CPPUNIT_TEST(testTheLastStageBeforeThemThatIsAcceptedGivesThemTheirTurnAgain);
    CPPUNIT_TEST(testOneThatOnlyTellsOfFailuresNeedsNoWorkspace);
    CPPUNIT_TEST(testOneThatIsAcceptedLeavesTheRunAsItEnded);
    CPPUNIT_TEST(testAStopThatCameTooLateLeavesTheRunGood);
    CPPUNIT_TEST(testAStopInTheQueueEndsARunOfThemAlone);
    CPPUNIT_TEST(testARunWithoutAReadablePipelineCanBeStoppedAndRejected);
    CPPUNIT_TEST_SUITE_END();

public:
    /// They had run for the failure, so nothing behind was open, and the run became SUCCESS without them.
    void testTheLastStageBeforeThemThatIsAcceptedGivesThemTheirTurnAgain()
    {
        start();
        const auto made = submit(build + ", " + failure + ", " + always);
        const auto stages = stagesOfRun(made);
        endWhenItRuns(stages[0], 1);
        endWhenItRuns(stages[1], 0);
        endWhenItRuns(stages[2], 0);
        waitForEnd(made, Status::Failure);
        assertDeclined("workspace_gone", [&] { patch(stages[0], Status::Success); });
        std::filesystem::create_directories(_state->workspace(made));
        patch(stages[0], Status::Success);
        endWhenItRuns(stages[2], 0);
        waitForEnd(made, Status::Success);
        CPPUNIT_ASSERT_EQUAL(2, stage(stages[2]).attempt);
        CPPUNIT_ASSERT_EQUAL(std::string(noFailure), stage(stages[1]).skipped);
    }

    void testOneThatOnlyTellsOfFailuresNeedsNoWorkspace()
    {
        start();
        const auto made = submit(build + ", " + failure);
        const auto stages = stagesOfRun(made);
        endWhenItRuns(stages[0], 1);
        endWhenItRuns(stages[1], 0);
        waitForEnd(made, Status::Failure);
        patch(stages[0], Status::Success);
        waitForEnd(made, Status::Success);
        CPPUNIT_ASSERT_EQUAL(std::string(noFailure), stage(stages[1]).skipped);
    }

    /// The run was opened, and ended a second time at once.
    void testOneThatIsAcceptedLeavesTheRunAsItEnded()
    {
        start();
        const auto made = submit(build + ", " + always);
        const auto stages = stagesOfRun(made);
        endWhenItRuns(stages[0], 1);
        endWhenItRuns(stages[1], 1);
        waitForEnd(made, Status::Failure);
        const TimeMs ended = run(made).endedAt.value();
        waitFor([&] { return nowMs() > ended; });
        patch(stages[1], Status::Success);
        CPPUNIT_ASSERT(stage(stages[1]).status == Status::Success);
        CPPUNIT_ASSERT(status(made) == Status::Failure);
        CPPUNIT_ASSERT_EQUAL(ended, run(made).endedAt.value());
    }

    /// The stage with `run: failure` counted as something that the stop had kept from running.
    void testAStopThatCameTooLateLeavesTheRunGood()
    {
        start();
        _runner.survive();
        const auto made = submit(build + ", " + failure + ", " + always);
        const auto stages = stagesOfRun(made);
        waitFor([&] { return _runner.runs(stages[0]); });
        auto stopped =
            std::async(std::launch::async, [&] { return commands::stop(*_engine, made, "test"); });
        waitFor([&] { return stage(stages[0]).intent == Intent::Stop; });
        _runner.exit(stages[0], 0);
        CPPUNIT_ASSERT_EQUAL(0, stopped.get());
        waitFor([&] { return _runner.runs(stages[2]); });
        CPPUNIT_ASSERT(status(made) == Status::InProgress);
        CPPUNIT_ASSERT_EQUAL(std::string("SUCCESS"), _runner.environment(stages[2])["RUN_STATUS"]);
        _runner.exit(stages[2], 0);
        waitForEnd(made, Status::Success);
        CPPUNIT_ASSERT(!run(made).stopCause);
        CPPUNIT_ASSERT_EQUAL(std::string(noFailure), stage(stages[1]).skipped);
    }

    void testAStopInTheQueueEndsARunOfThemAlone()
    {
        start();
        const auto holder = stagesOfRun(submit(build))[0];
        for (const auto& alone : {always, failure})
        {
            const auto made = submit(alone);
            if (!run(made).ended())
                commands::stop(*_engine, made, "test");
            CPPUNIT_ASSERT(run(made).ended());
        }
        endWhenItRuns(holder, 0);
        CPPUNIT_ASSERT_EQUAL(1, _runner.launches());
    }

    /// What comes next was looked up in it, and the request failed.
    void testARunWithoutAReadablePipelineCanBeStoppedAndRejected()
    {
        start();
        std::vector<std::string> waiting;
        for (int i = 0; i < 2; ++i)
        {
            const auto made = submit(build + ", " + gated + ", " + always);
            endWhenItRuns(stagesOfRun(made)[0], 0);
            waitFor([&] { return status(made) == Status::AwaitingApproval; });
            waiting.push_back(made);
        }
        _engine.reset();
        for (const auto& id : waiting)
        {
            RunStore runs(_database->writer());
            auto broken = runs.run(id);
            broken->pipeline = "{";
            runs.update(*broken);
        }
        start();
        CPPUNIT_ASSERT_EQUAL(1, commands::stop(*_engine, waiting[0], "test"));
        waitForEnd(waiting[0], Status::Failure);
        patch(stagesOfRun(waiting[1])[1], Status::Failure);
        waitForEnd(waiting[1], Status::Failure);
        CPPUNIT_ASSERT_EQUAL(2, _runner.launches());
    }

private:
    static std::string stageLike(const std::string& type, const std::string& more)
    {
        return "{type: " + type + ", plugin: shell, with: {command: x}, " + more + "}";
    }

    const std::string build = "{type: BUILD, plugin: shell, with: {command: x}}";
    const std::string gated = stageLike("DEPLOY_PROD", "approval: required");
    const std::string always = stageLike("OTHER", "name: clean up, when: {run: always}");
    const std::string failure = stageLike("OTHER", "name: tell, when: {run: failure}");

    std::string submit(const std::string& stages)
    {
        return commands::submit(*_engine,
                                {.pipeline = Pipeline(pipeline("stages: [" + stages + "]"))})
            .run.id;
    }

    void patch(const std::string& stageId, Status wanted)
    {
        commands::patchStage(*_engine, stageId, {.status = wanted, .actor = "test"});
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LastStagesTest);

} // namespace agent
